"""Stores the callbacks of messengers, and records what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from hooks.wakeups import notify_after_commit
from instances.models import Instance, StoredCallback

RECEIVING_CHANNEL = "instances_receiving"  # of NOTIFY: a callback was stored …
LINKS_CHANGED = "links"  # … or, with this payload, links have changed
# Seconds before the second, third, … try. Later callbacks of the instance wait meanwhile, so that events stay in order:
# 48 s in total. After the last try the callback has failed, and the next one is handled.
RETRY_SECONDS = (1, 2, 5, 10, 30)
MAX_ERROR = 1_000  # characters
MAX_WAIT_SECONDS = 60.0  # of a look for callbacks; the tries of one take 48 s


def store_callback(
    instance: Instance, *, key: str, method: str, query: str, headers: Sequence[tuple[str, str]], body: bytes
) -> None:
    """Store a request of the messenger unless one with this key is stored, and wake a receiver. One statement."""
    StoredCallback.objects.bulk_create(
        [
            StoredCallback(
                instance=instance,
                key=key,
                method=method,
                query=query,
                headers=[list(header) for header in headers],
                body=body,
            )
        ],
        ignore_conflicts=True,
    )
    notify_after_commit(RECEIVING_CHANNEL)


def is_overtaken(instance: Instance, seen_at: datetime) -> bool:
    """Whether a status that was seen at `seen_at` may be older than the present one, or than a callback that waits.

    A look at an account does not have the messenger's time of the status, as callbacks have (received.is_outdated). A
    backlog of more than MAX_WAIT_SECONDS is not waited for. The caller holds the lock. One query, of one row.
    """
    if seen_at <= instance.status_changed_at <= timezone.now():  # not by a clock that was ahead
        return True
    waiting = StoredCallback.objects.waiting().filter(instance=instance).order_by("pk")
    first = waiting.values_list("received_at", flat=True).first()
    return first is not None and first > timezone.now() - timedelta(seconds=MAX_WAIT_SECONDS)


def mark_handled(callback: StoredCallback, *, refused: Sequence[str]) -> None:
    """Record that the events of a callback are recorded, in their transaction.

    With sentences in `refused` the callback counts as failed, so that people see it; its other events are recorded.
    """
    now = timezone.now()
    callback.tries += 1
    callback.error = "; ".join(refused)[:MAX_ERROR]
    if refused:
        callback.failed_at = now
    else:
        callback.handled_at = now
    callback.save(update_fields=["tries", "error", "handled_at", "failed_at"])


def is_last_try(callback: StoredCallback) -> bool:
    """Returns whether the callback fails if this try does."""
    return callback.tries >= len(RETRY_SECONDS)


def mark_tried(callback: StoredCallback, *, error: str) -> None:
    """Record a try that changed nothing: the callback is tried again after RETRY_SECONDS, or has failed."""
    now = timezone.now()
    if is_last_try(callback):
        callback.failed_at = now
    else:
        callback.next_try_at = now + timedelta(seconds=RETRY_SECONDS[callback.tries])
    callback.tries += 1
    callback.error = error[:MAX_ERROR]
    callback.save(update_fields=["tries", "error", "failed_at", "next_try_at"])


@transaction.atomic
def retry_failed_callbacks(instance: Instance, *, acting_user: User | None) -> int:
    """Let the failed callbacks of an instance be handled again, for example after an update; returns how many.

    Events that were recorded are recognised, and not recorded again.
    """
    failed = StoredCallback.objects.failed().filter(instance=instance)
    number = failed.update(failed_at=None, tries=0, next_try_at=timezone.now())
    if number:
        audit.record(instance, AuditAction.CALLBACKS_RETRIED, acting_user=acting_user, number=number)
        notify_after_commit(RECEIVING_CHANNEL)
    return number
