"""Endpoints that give nothing but failures are paused, so that their hooks gather instead of being spent."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from hooks.actions import endpoints as hook_actions
from hooks.models import Endpoint, PauseReason

PAUSE_AFTER = timedelta(hours=24)  # of nothing but failures
FAILURES_AT_LEAST = 10  # a bot that is called twice a day has not had its chance yet

# How many attempts have been made since the first failure, and when the last one was.
FAILURES = """
SELECT count(*), max(started_at) FROM (
    SELECT a.started_at FROM hooks_hook h JOIN hooks_attempt a ON a.hook_id = h.id
    WHERE h.endpoint_id = %s AND NOT h.simulated AND a.started_at >= %s
    ORDER BY h.id DESC LIMIT 1000
) recent
"""


def pause_failing() -> list[Endpoint]:
    """Pauses the endpoints that have failed for PAUSE_AFTER and returns them.

    Only on an attempt that failed after that time: silence at night is no failure.
    """
    before = timezone.now() - PAUSE_AFTER
    paused = []
    for endpoint in Endpoint.objects.filter(failing_since__lte=before, paused_at=None).order_by("pk"):
        if has_had_its_chance(endpoint) and (found := hook_actions.pause_failing(endpoint, before=before)):
            paused.append(found)
    return paused


def has_had_its_chance(endpoint: Endpoint) -> bool:
    since = endpoint.failing_since
    if since is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute(FAILURES, [endpoint.pk, since])
        count, last = cursor.fetchone()
    last_at: datetime | None = last
    return count >= FAILURES_AT_LEAST and last_at is not None and last_at >= since + PAUSE_AFTER


def paused_and_not_told() -> QuerySet[Endpoint]:
    """Paused endpoints whose owner has not been notified yet."""
    return Endpoint.objects.filter(
        paused_at__isnull=False, pause_reason=PauseReason.FAILING, pause_told_at=None
    ).order_by("pk")
