"""An instance that staff has stopped sends nothing: what waits is held back, and goes on when it is started.

It is a pause of a kind of its own, so the dispatchers need to know nothing new, and nothing waiting is lost.
Staff may also give up what waits.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from hooks.actions.endpoints import go_on
from hooks.audit import tell
from hooks.models import Endpoint, Hook, PauseReason, State, Tally

# of one endpoint in one transaction, a second's work; who has more calls it again
CANCEL_MOST = 50_000


def hold(endpoint: Endpoint, *, at: datetime) -> None:
    """Pause it since `at`, with the caller's stop. One that is paused already keeps its time: see release()."""
    row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    row.paused_at, row.pause_reason = row.paused_at or at, PauseReason.STOPPED
    row.save(update_fields=["paused_at", "pause_reason"])


def release(endpoint: Endpoint, *, at: datetime) -> None:
    """Go on, unless it was paused already before `at`, when hold() was called: then it is paused by hand again."""
    row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    if row.pause_reason != PauseReason.STOPPED or row.paused_at is None:
        return
    if row.paused_at < at:
        row.pause_reason = PauseReason.BY_HAND
        row.save(update_fields=["pause_reason"])
    else:
        go_on(row)


@transaction.atomic
def cancel_waiting(endpoint: Endpoint, *, acting_user: Any) -> int:
    """Give up the oldest CANCEL_MOST hooks that wait; how many they were. Those being sent at this moment go on."""
    waiting = Hook.objects.filter(endpoint=endpoint, state__in=(State.QUEUED, State.RETRYING)).order_by("pk")
    locked = waiting.select_for_update(no_key=True, skip_locked=True).values_list("pk", flat=True)[
        :CANCEL_MOST
    ]
    gone = Hook.objects.filter(pk__in=list(locked)).update(
        state=State.CANCELLED, finished_at=timezone.now(), next_attempt_at=None, lease_until=None
    )
    if gone:
        Tally.objects.filter(pk=endpoint.pk).update(cancelled=F("cancelled") + gone)
        tell("hooks.cancelled", acting_user=acting_user, instance_id=endpoint.pk, hooks=gone)
    return gone
