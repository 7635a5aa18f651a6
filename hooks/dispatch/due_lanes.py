"""Finds the lanes that have a hook to send now, and when the next retry is due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from hooks.dispatch.retry_windows import OVERLAP
from hooks.models import State
from hooks.sql import lane_queries, partitions
from hooks.urls import destination

# Two loose index scans, one probe per lane: the backlog of a paused endpoint does not hide other lanes. A lane whose
# endpoint has no URL is due only for hooks with a URL of their own, which have an index: hooks_hook_own_url.
# A subquery and no join with hooks_lane: joined by hash, each of 100 000 idle lanes was probed every second, 111 ms.
# `is_late`: the lane has a retry that earlier claims should have found.
DUE_LANES = f"""
WITH RECURSIVE {lane_queries.lanes_cte(State.QUEUED)}, {lane_queries.earliest_retries_cte()}
SELECT endpoint_id, is_late FROM (
    SELECT endpoint_id, bool_or(is_late) AS is_late FROM (
        SELECT endpoint_id, false AS is_late FROM lane WHERE (
            {lane_queries.newest_lane(f"({lane_queries.unclaimed('id')})", "lane.endpoint_id")}
        ) IS NOT NULL
        UNION ALL
        SELECT endpoint_id, next_attempt_at < clock_timestamp() - interval '{OVERLAP} s' FROM retry
        WHERE next_attempt_at <= clock_timestamp()
    ) each_kind GROUP BY endpoint_id
) due
WHERE EXISTS (
    SELECT 1 FROM hooks_endpoint e WHERE e.id = due.endpoint_id AND {destination.is_open_sql()}
    AND NOT {lane_queries.held_by_retry_sql()}
    AND ({destination.endpoint_url_sql()} <> '' OR EXISTS (
        SELECT 1 FROM hooks_hook h
        WHERE h.endpoint_id = e.id AND h.to_url <> '' AND h.state IN ('queued', 'retrying')
    ))
)
"""
# In the order of the index on the time. What is left by the limit is found by DUE_LANES.
LANES_OF_DUE_RETRIES = """
SELECT DISTINCT endpoint_id FROM (
    SELECT endpoint_id FROM hooks_hook
    WHERE state = 'retrying' AND next_attempt_at <= statement_timestamp()
        AND next_attempt_at > statement_timestamp() - make_interval(secs => %s)
    ORDER BY next_attempt_at LIMIT 10000
) due
"""
SECONDS_TO_NEXT_RETRY = """
SELECT extract(epoch FROM next_attempt_at - clock_timestamp())::float8 FROM hooks_hook
WHERE state = 'retrying' AND next_attempt_at > statement_timestamp() ORDER BY next_attempt_at LIMIT 1
"""


def due_lanes(
    session: psycopg.Connection[Any], note_late: Callable[[int], object] = lambda lane: None
) -> list[int]:
    """Returns the lanes with a hook due now. Before, calls `note_late` with those to search whole for due retries."""
    bounds = partitions.waiting_bounds(session.execute)
    rows = session.execute(DUE_LANES, bounds).fetchall()
    for lane, is_late in rows:
        if is_late:
            note_late(lane)
    return [lane for lane, _ in rows]


def lanes_of_due_retries(session: psycopg.Connection[Any], within: float) -> list[int]:
    """Returns the lanes with a retry that became due in the last `within` seconds."""
    return [row[0] for row in session.execute(LANES_OF_DUE_RETRIES, [within]).fetchall()]


def seconds_to_next_retry(session: psycopg.Connection[Any]) -> float | None:
    """Returns the seconds until the next retry is due; None if none is planned."""
    row = session.execute(SECONDS_TO_NEXT_RETRY).fetchone()
    return row[0] if row else None
