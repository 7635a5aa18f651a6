"""Delivery of an instance that staff stopped: its hooks wait until it is started again, or are cancelled.

A stop is a pause with a reason of its own, so dispatchers need no extra rule and no waiting hook is lost.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from hooks.actions.endpoints import end_pause
from hooks.audit import ActingUser, report
from hooks.models import Endpoint, Hook, Lane, PauseReason, State, Tally

# hooks of one endpoint in one transaction, a second's work; for more, the caller calls again
CANCEL_BATCH = 50_000


def locked_endpoints(instance_id: int) -> QuerySet[Endpoint]:
    """Returns the instance's endpoints, locked in the order of their ids, as by all who lock several."""
    return Endpoint.objects.select_for_update(no_key=True).filter(instance=instance_id).order_by("pk")


def hold(instance_id: int, *, at: datetime) -> None:
    """Pause the instance's endpoints from `at`, in the transaction of the stop.

    An earlier pause keeps its time: see release().
    """
    for row in locked_endpoints(instance_id):
        row.paused_at, row.pause_reason = row.paused_at or at, PauseReason.STOPPED
        row.save(update_fields=["paused_at", "pause_reason"])


def release(instance_id: int, *, at: datetime) -> None:
    """Resume the instance's endpoints. Those already paused before `at` (see hold()) stay paused, as BY_HAND."""
    for row in locked_endpoints(instance_id):
        if row.pause_reason != PauseReason.STOPPED or row.paused_at is None:
            continue
        if row.paused_at < at:
            row.pause_reason = PauseReason.BY_HAND
            row.save(update_fields=["pause_reason"])
        else:
            end_pause(row)


@transaction.atomic
def cancel_waiting(instance_id: int, *, acting_user: ActingUser) -> int:
    """Cancel up to CANCEL_BATCH waiting hooks of the instance, the oldest of each endpoint first; returns how many.

    Hooks being sent now are not cancelled. One audit row.
    """
    cancelled = 0
    for key in Endpoint.objects.filter(instance=instance_id).order_by("pk").values_list("pk", flat=True):
        cancelled += cancel_waiting_of(key, limit=CANCEL_BATCH - cancelled)
    if cancelled:
        report("hooks.cancelled", acting_user=acting_user, instance_id=instance_id, hooks=cancelled)
    return cancelled


def cancel_waiting_of(endpoint_id: int, *, limit: int = CANCEL_BATCH) -> int:
    """Cancel the oldest waiting hooks of one endpoint in the caller's transaction; returns how many.

    The caller writes the audit row.
    """
    lane = Lane.objects.select_for_update().get(pk=endpoint_id)  # no dispatcher claims its hooks meanwhile
    is_waiting = Q(state=State.QUEUED, pk__gt=lane.cursor) | Q(state=State.RETRYING)
    waiting = Hook.objects.filter(is_waiting, endpoint=endpoint_id).order_by("pk")
    locked = waiting.select_for_update(no_key=True, skip_locked=True).values_list("pk", flat=True)[:limit]
    cancelled = Hook.objects.filter(pk__in=list(locked)).update(
        state=State.CANCELLED, finished_at=timezone.now(), next_attempt_at=None, lease_until=None
    )
    if cancelled:
        Tally.objects.filter(pk=endpoint_id).update(cancelled=F("cancelled") + cancelled)
    return cancelled
