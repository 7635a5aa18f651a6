"""Delivery of an instance that staff stopped: its hooks wait until it is started again, or are cancelled.

A stop is a pause with a reason of its own, so dispatchers need no extra rule and no waiting hook is lost.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from hooks.actions.endpoints import end_pause
from hooks.audit import ActingUser, report
from hooks.models import WAITING, Endpoint, Hook, PauseReason, State, Tally

# hooks of one endpoint in one transaction, a second's work; for more, the caller calls again
CANCEL_BATCH = 50_000


def hold(endpoint: Endpoint, *, at: datetime) -> None:
    """Pause the endpoint from `at`, in the transaction of the stop. An earlier pause keeps its time: see release()."""
    row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    row.paused_at, row.pause_reason = row.paused_at or at, PauseReason.STOPPED
    row.save(update_fields=["paused_at", "pause_reason"])


def release(endpoint: Endpoint, *, at: datetime) -> None:
    """Resume the endpoint. If it was already paused before `at` (see hold()), it stays paused, as BY_HAND."""
    row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    if row.pause_reason != PauseReason.STOPPED or row.paused_at is None:
        return
    if row.paused_at < at:
        row.pause_reason = PauseReason.BY_HAND
        row.save(update_fields=["pause_reason"])
    else:
        end_pause(row)


@transaction.atomic
def cancel_waiting(endpoint: Endpoint, *, acting_user: ActingUser) -> int:
    """Cancel the oldest CANCEL_BATCH waiting hooks; returns how many. Hooks being sent now are not cancelled."""
    waiting = Hook.objects.filter(endpoint=endpoint, state__in=WAITING).order_by("pk")
    locked = waiting.select_for_update(no_key=True, skip_locked=True).values_list("pk", flat=True)[
        :CANCEL_BATCH
    ]
    cancelled = Hook.objects.filter(pk__in=list(locked)).update(
        state=State.CANCELLED, finished_at=timezone.now(), next_attempt_at=None, lease_until=None
    )
    if cancelled:
        Tally.objects.filter(pk=endpoint.pk).update(cancelled=F("cancelled") + cancelled)
        report("hooks.cancelled", acting_user=acting_user, instance_id=endpoint.pk, hooks=cancelled)
    return cancelled
