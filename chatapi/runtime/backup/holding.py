"""Stops the instances of a restored site until the operator has decided what happens to what was waiting.

At the time of the backup, hooks and messages were waiting that may have been sent since then. A stopped instance sends
nothing and accepts nothing; what staff had stopped before stays stopped when the others are started.
"""

from collections.abc import Iterator

from accounts.audit import AuditAction, AuditEntry
from hooks.actions import redelivery
from hooks.actions.stopping import cancel_waiting
from hooks.maintenance.cancelling import cancel_of_instance
from hooks.models import Redelivery
from instances.actions.sending.message_queue import clear_messages
from instances.actions.stopping import start_instance, stop_instance
from instances.models import Instance

REASON = "restored from a backup"


def hold() -> int:
    """Stops all running instances; returns how many. Pauses redeliveries, which their owners resume."""
    for job in Redelivery.objects.filter(state__in=redelivery.WORKING):
        redelivery.pause(job, acting_user=None)
    return sum(
        stop_instance(instance, reason=REASON, acting_user=None)
        for instance in Instance.objects.order_by("pk").iterator()
    )


def held() -> Iterator[Instance]:
    """Yields the instances that hold() has stopped, and that were not started and stopped again since."""
    for instance in Instance.objects.filter(stopped_at__isnull=False).order_by("pk").iterator():
        subject = instance.audit_subject()
        stops = AuditEntry.objects.filter(
            subject_kind=subject.kind, subject_id=str(subject.key), action=AuditAction.INSTANCE_STOPPED
        )
        last = stops.order_by("-id").first()
        if last is not None and last.detail.get("reason") == REASON:
            yield instance


def release(*, drop_waiting: bool) -> tuple[int, int, int]:
    """Starts the instances that hold() has stopped; returns how many, and how many hooks and messages were dropped.

    With `drop_waiting`, waiting hooks are cancelled and waiting messages removed first: none of them is sent twice, and
    what had not been sent by the time of the backup is not sent. What was in flight at that time is sent again.
    """
    started = hooks = messages = 0
    for instance in held():
        if drop_waiting:
            hooks += cancel_waiting(instance.pk, acting_user=None).number + cancel_of_instance(instance.pk)
            messages += clear_messages(instance).removed
        started += start_instance(instance, acting_user=None)
    return started, hooks, messages
