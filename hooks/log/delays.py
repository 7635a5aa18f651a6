"""Detects late deliveries and their reason, for the banner on the account's pages, /readyz and the watchdog.

A first attempt is due at its event, a retry at its planned time. Hooks of endpoints that are paused or have no URL are
never late. A hook of a strict lane that waits for an older hook's retry is late on its account's pages only: it is due
for no dispatcher.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from hooks.models import Endpoint, Hook, Role, Runner, State, is_alive
from hooks.sql import partitions
from hooks.sql.lane_queries import earliest_retries_cte, held_by_retry_sql, lanes_cte, unclaimed
from hooks.urls import destination

LATE = timedelta(seconds=60)  # shorter delays are not shown

# The first unclaimed hook and the earliest retry of each lane: two loose index scans, one probe per lane. In the order
# of their times, retries would be read up to the first of an open lane, and a paused one may have a million.
OLDEST = f"""
WITH RECURSIVE {lanes_cte(State.QUEUED)}, {earliest_retries_cte()}
SELECT min(due) FROM (
    SELECT first.created_at AS due
    FROM lane JOIN hooks_endpoint e ON e.id = lane.endpoint_id AND {destination.can_send_sql()}
        AND NOT {held_by_retry_sql()}
    JOIN hooks_lane l ON l.endpoint_id = lane.endpoint_id
    CROSS JOIN LATERAL (
        {unclaimed("created_at")}
    ) first
    UNION ALL
    SELECT retry.next_attempt_at
    FROM retry JOIN hooks_endpoint e ON e.id = retry.endpoint_id AND {destination.can_send_sql()}
) oldest WHERE due < %(before)s
"""


def oldest_due(before: datetime) -> datetime | None:
    """Returns when the oldest waiting hook became due; None unless that was earlier than `before`."""
    bounds = waiting_bounds()
    with connection.cursor() as cursor:
        cursor.execute(OLDEST, {"before": before, **bounds})
        row = cursor.fetchone()
    return row[0] if row else None


def waiting_bounds() -> dict[str, int]:
    """Returns partitions.waiting_bounds() by Django's connection. Two queries."""
    with connection.cursor() as cursor:

        def execute(sql: str, parameters: Any = None) -> Any:
            cursor.execute(sql, parameters)
            return cursor

        return partitions.waiting_bounds(execute)


@dataclass(frozen=True)
class Delay:
    """`since`: when the oldest waiting hook became due; `reason`: a sentence for users."""

    since: datetime
    reason: str


NO_DISPATCHER = (
    "No dispatcher is running at the moment. Nothing is lost: hooks are sent in order as soon as one runs."
)
BUSY = (
    "Earlier hooks of this instance are still being sent, or its server responds slowly. Hooks are sent one at a time "
    "unless parallelHooks is on."
)
STRICT = (
    "An older hook of this instance waits for its retry, and strictOrder holds back all later ones. Open it in the "
    "delivery log (state: retrying) to try it now, skip it or cancel it."
)
BUSY_PARALLEL = "The instance's server responds more slowly than new hooks are created."


def of_instances(keys: Iterable[int]) -> Delay | None:
    """Returns the longest delay of these instances' endpoints; None if no hook is late. Three index probes each.

    Endpoints without a URL are excluded. So are paused ones: a notice of their own shows since when they are paused.
    """
    now = timezone.now()
    queued = Hook.objects.filter(
        endpoint_id=OuterRef("pk"), state=State.QUEUED, pk__gt=OuterRef("lane__cursor")
    ).order_by("pk")
    retrying = Hook.objects.filter(endpoint_id=OuterRef("pk"), state=State.RETRYING).order_by(
        "next_attempt_at"
    )
    oldest_retry = retrying.order_by("endpoint_id", "pk")
    open_ones = Endpoint.objects.filter(instance__in=list(keys), paused_at=None)
    found = open_ones.exclude(destination.endpoint_has_no_url(now)).values_list(
        "parallel",
        "strict",
        Subquery(queued.values("created_at")[:1]),
        Subquery(queued.values("pk")[:1]),
        Subquery(retrying.values("next_attempt_at")[:1]),
        Subquery(oldest_retry.values("pk")[:1]),
    )
    late = now - LATE
    since, reason = min(
        (
            (due, STRICT if strict and retry and queued_key and retry < queued_key else busy_reason(parallel))
            for parallel, strict, created, queued_key, planned, retry in found
            for due in (created, planned)
            if due is not None and due < late
        ),
        default=(None, ""),
    )
    if since is None:
        return None
    if not is_alive(Runner.objects.heartbeat_age(Role.DISPATCH)):
        return Delay(since, NO_DISPATCHER)
    return Delay(since, reason)


def busy_reason(parallel: bool) -> str:
    return BUSY_PARALLEL if parallel else BUSY
