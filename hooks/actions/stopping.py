"""Delivery of an instance that staff stopped: its hooks wait until it is started again, or are cancelled.

A stop is a pause with a reason of its own, so dispatchers need no extra rule and no waiting hook is lost.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django_q.tasks import async_task

from hooks.actions.endpoints import end_pause
from hooks.audit import ActingUser, report
from hooks.log.index_order import in_index_order, newest_key_of_each
from hooks.models import Endpoint, Hook, Lane, PauseReason, State, Tally

CANCELLED_AT_ONCE = 2_000  # hooks of one endpoint that a request cancels itself: 40 ms


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


class Cancelled(NamedTuple):
    """How many waiting hooks were cancelled at once, and whether a task cancels others."""

    number: int
    has_more: bool


@transaction.atomic
def cancel_waiting(instance_id: int, *, acting_user: ActingUser) -> Cancelled:
    """Cancel all waiting hooks of the instance: some of each endpoint at once, the rest by a task.

    Hooks being sent now are not cancelled. Nothing is sent to an endpoint until the task has cancelled its hooks; then
    those created since are sent. One audit row.
    """
    cancelled = 0
    has_more = False
    for key in Endpoint.objects.filter(instance=instance_id).order_by("pk").values_list("pk", flat=True):
        found = cancel_waiting_of(key, limit=CANCELLED_AT_ONCE)
        cancelled += found
        if found == CANCELLED_AT_ONCE:
            has_more = True
            # The lane is locked until the commit: no dispatcher claims a hook before it sees this.
            Endpoint.objects.filter(pk=key).update(cancel_up_to=newest_key_of_each([key], {})[key])
    if cancelled:
        rest = {"rest": "in the background"} if has_more else {}
        report("hooks.cancelled", acting_user=acting_user, instance_id=instance_id, hooks=cancelled, **rest)
    if has_more:
        schedule_cancelling()
    return Cancelled(cancelled, has_more)


def schedule_cancelling() -> None:
    """Queue the task in the transaction that records what it has to do."""
    async_task("hooks.maintenance.cancelling.cancel")


def cancel_waiting_of(endpoint_id: int, *, limit: int) -> int:
    """Cancel waiting hooks of one endpoint in the caller's transaction: retries, then the oldest; returns how many.

    The caller writes the audit row.
    """
    return len(cancel_portion(endpoint_id, limit=limit))


def cancel_portion(endpoint_id: int, *, limit: int, after: int = 0, up_to: int | None = None) -> list[int]:
    """As cancel_waiting_of(); returns the keys: of retries, then of first attempts, each in order.

    With `up_to`, no hooks with a greater key; of first attempts, those after `after`. None if the endpoint was deleted.
    """
    # Locked, so that no dispatcher claims its hooks meanwhile.
    lane = Lane.objects.select_for_update().filter(pk=endpoint_id).first()
    if lane is None:
        return []
    # A range and this order leave only the index hooks_hook_state: by the primary key, hooks of others would be read.
    of_lane = Hook.objects.filter(endpoint__gte=endpoint_id, endpoint__lte=endpoint_id).order_by(
        "endpoint_id", "pk"
    )
    if up_to is not None:
        of_lane = of_lane.filter(pk__lte=up_to)
    of_lane = of_lane.select_for_update(no_key=True, skip_locked=True)
    keys: list[int] = []
    with in_index_order({}):
        for waiting in (
            of_lane.filter(state=State.RETRYING),
            of_lane.filter(state=State.QUEUED, pk__gt=max(lane.cursor, after)),
        ):
            keys += waiting.values_list("pk", flat=True)[: limit - len(keys)]
    if keys:
        Hook.objects.filter(pk__in=keys).update(
            state=State.CANCELLED, finished_at=timezone.now(), next_attempt_at=None, lease_until=None
        )
        Tally.objects.filter(pk=endpoint_id).update(cancelled=F("cancelled") + len(keys))
    return keys
