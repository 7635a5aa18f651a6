"""Detects late deliveries and their reason, for the banner on the account's pages, /readyz and the watchdog.

A first attempt is due at its event, a retry at its planned time. Hooks of endpoints that are paused, have no URL, or
are fetched by `chatapi listen`, are never late. A hook of a strict lane that waits for an older hook's retry is late on
its account's pages only: it is due for no dispatcher.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from hooks.log.index_order import execute_in_index_order
from hooks.models import Role, Runner, State, is_alive
from hooks.sql import partitions
from hooks.sql.lane_queries import (
    earliest_retries_cte,
    held_by_retry_sql,
    lanes_cte,
    newest_lane,
    unclaimed,
)
from hooks.urls import destination

LATE = timedelta(seconds=60)  # shorter delays are not shown


def open_endpoint(lane: str, condition: str = "true") -> str:
    """A SELECT of the endpoint of `lane.endpoint_id`, if it can send and the condition on `e` holds.

    LIMIT keeps the planner from joining: with the statistics of an empty table, all lanes were read for each endpoint.
    """
    return f"""SELECT e.id, e.parallel FROM hooks_endpoint e
        WHERE e.id BETWEEN {lane}.endpoint_id AND {lane}.endpoint_id AND {destination.can_send_sql()} AND {condition}
        ORDER BY e.id LIMIT 1"""


# The lanes with waiting hooks that can be sent, and the earliest retry of each: two loose index scans, one probe per
# lane. In the order of their times, retries would be read up to the first of an open lane, and a paused one may have a
# million. After WITH RECURSIVE, in index order.
OPEN_LANES = f"""
{lanes_cte(State.QUEUED)}, {earliest_retries_cte()}, open_lane AS MATERIALIZED (
    SELECT e.id AS endpoint_id, e.parallel, ({newest_lane("l.cursor", "e.id")}) AS cursor
    FROM lane CROSS JOIN LATERAL ({open_endpoint("lane", f"NOT {held_by_retry_sql()}")}) e
), open_retry AS MATERIALIZED (
    SELECT e.id AS endpoint_id, e.parallel, retry.next_attempt_at
    FROM retry CROSS JOIN LATERAL ({open_endpoint("retry")}) e
)
"""
OLDEST = f"""
WITH RECURSIVE {OPEN_LANES}
SELECT min(due) FROM (
    SELECT first.created_at AS due FROM open_lane l CROSS JOIN LATERAL (
        {unclaimed("created_at")}
    ) first
    UNION ALL
    SELECT next_attempt_at FROM open_retry
) oldest WHERE due < %(before)s
"""

# Of each endpoint that can send: its first unclaimed hook, its oldest retry and its earliest one. One subquery finds
# the first two, because each is planned for every partition. `= ANY (ARRAY[…])`: see endpoint_numbers. The cursor is
# looked up and not joined: see counts.COUNTS.
WAITING = f"""
SELECT e.parallel, e.strict, waiting.queued_at, waiting.queued_id, earliest.next_attempt_at, waiting.retry_id
FROM hooks_endpoint e
CROSS JOIN LATERAL (
    SELECT min(found.created_at) FILTER (WHERE first.state = 'queued') AS queued_at,
        min(found.id) FILTER (WHERE first.state = 'queued') AS queued_id,
        min(found.id) FILTER (WHERE first.state = 'retrying') AS retry_id
    FROM (
        VALUES ('queued', coalesce(({newest_lane("l.cursor", "e.id")}), 0)), ('retrying', 0)
    ) AS first (state, after)
    CROSS JOIN LATERAL (
        SELECT id, created_at FROM hooks_hook
        WHERE endpoint_id = e.id AND state = ANY (ARRAY[first.state]) AND id > first.after ORDER BY state, id LIMIT 1
    ) AS found
) AS waiting
LEFT JOIN LATERAL (
    SELECT next_attempt_at FROM hooks_hook WHERE endpoint_id = ANY (ARRAY[e.id]) AND state = 'retrying'
    ORDER BY endpoint_id, next_attempt_at LIMIT 1
) AS earliest ON true
WHERE e.instance_id = ANY(%(instances)s) AND {destination.can_send_sql()}
"""


def oldest_due(before: datetime) -> datetime | None:
    """Returns when the oldest waiting hook became due; None unless that was earlier than `before`."""
    bounds = waiting_bounds()
    with connection.cursor() as cursor:
        execute_in_index_order(cursor, OLDEST, {"before": before, **bounds})
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
    with connection.cursor() as cursor:
        execute_in_index_order(cursor, WAITING, {"instances": list(keys)})
        found = cursor.fetchall()
    late = timezone.now() - LATE
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
