"""Pauses endpoints whose attempts have all failed for a day, so that their hooks stay queued instead of failing."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from hooks.actions import endpoints as hook_actions
from hooks.models import Endpoint, PauseReason

PAUSE_AFTER = timedelta(hours=24)  # during which all attempts have failed
MIN_FAILURES = 10  # two failed hooks a day are too few to pause a bot

# The number of attempts since the first failure, and the time of the last.
FAILURES = """
SELECT count(*), max(started_at) FROM (
    SELECT a.started_at FROM hooks_hook h JOIN hooks_attempt a ON a.hook_id = h.id
    WHERE h.endpoint_id = %s AND NOT h.simulated AND a.started_at >= %s
    ORDER BY h.id DESC LIMIT 1000
) recent
"""


def pause_failing() -> list[Endpoint]:
    """Pauses the endpoints that have failed for PAUSE_AFTER; returns them.

    An endpoint needs MIN_FAILURES, and a failed attempt after PAUSE_AFTER: a night without hooks is no failure.
    """
    before = timezone.now() - PAUSE_AFTER
    paused = []
    for endpoint in Endpoint.objects.present().filter(failing_since__lte=before, paused_at=None):
        if has_failed_long_enough(endpoint) and (
            found := hook_actions.pause_failing(endpoint, before=before)
        ):
            paused.append(found)
    return paused


def has_failed_long_enough(endpoint: Endpoint) -> bool:
    """Returns whether the endpoint has enough failed attempts, the last after PAUSE_AFTER. One query."""
    since = endpoint.failing_since
    if since is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute(FAILURES, [endpoint.pk, since])
        count, last = cursor.fetchone()
    last_at: datetime | None = last
    return count >= MIN_FAILURES and last_at is not None and last_at >= since + PAUSE_AFTER


def endpoints_to_notify() -> QuerySet[Endpoint]:
    """Returns the failing endpoints that were paused and whose owner has not been notified yet."""
    return Endpoint.objects.filter(
        paused_at__isnull=False, pause_reason=PauseReason.FAILING, pause_told_at=None
    ).order_by("pk")
