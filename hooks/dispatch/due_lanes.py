"""Finds the lanes that have a hook to send now, and when the next retry is due.

The search of all lanes reads index entries of hooks that have been sent, until vacuum removes them. While an old
transaction is open, such as a long pg_dump, it removes none, and each search reads all hooks sent since: 0.4 s after
eight minutes at 200 hooks/s. So the search is made less often when it takes long. Between two searches, DueLanes finds
the lanes of new hooks by their ids, which reads as much however old a transaction is.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

import psycopg

from hooks.dispatch.retry_windows import OVERLAP
from hooks.models import State
from hooks.sql import lane_queries, partitions
from hooks.urls import destination

# The lane has a hook that waits and was not claimed. A subquery and no join with hooks_lane: joined by hash, each of
# 100 000 idle lanes was probed every second, 111 ms.
HAS_UNCLAIMED = f"""(
    {lane_queries.newest_lane(f"({lane_queries.unclaimed('id')})", "lane.endpoint_id")}
) IS NOT NULL"""
# A lane whose endpoint has no URL is due only for hooks with a URL of their own, which have an index:
# hooks_hook_own_url.
CAN_SEND = f"""EXISTS (
    SELECT 1 FROM hooks_endpoint e WHERE e.id = due.endpoint_id AND {destination.is_open_sql()}
    AND NOT {lane_queries.held_by_retry_sql()}
    AND ({destination.endpoint_url_sql()} <> '' OR EXISTS (
        SELECT 1 FROM hooks_hook h
        WHERE h.endpoint_id = e.id AND h.to_url <> '' AND h.state IN ('queued', 'retrying')
    ))
)"""
# Two loose index scans, one probe per lane: the backlog of a paused endpoint does not hide other lanes.
# `is_late`: the lane has a retry that earlier claims should have found.
DUE_LANES = f"""
WITH RECURSIVE {lane_queries.lanes_cte(State.QUEUED)}, {lane_queries.earliest_retries_cte()}
SELECT endpoint_id, is_late FROM (
    SELECT endpoint_id, bool_or(is_late) AS is_late FROM (
        SELECT endpoint_id, false AS is_late FROM lane WHERE {HAS_UNCLAIMED}
        UNION ALL
        SELECT endpoint_id, next_attempt_at < clock_timestamp() - interval '{OVERLAP} s' FROM retry
        WHERE next_attempt_at <= clock_timestamp()
    ) each_kind GROUP BY endpoint_id
) due
WHERE {CAN_SEND}
"""
# The same for first attempts, without a search for their lanes: those of new hooks, read by id, and %(known)s.
DUE_OF_NEW_HOOKS = f"""
WITH lane AS MATERIALIZED (
    SELECT endpoint_id FROM hooks_hook h
    WHERE id BETWEEN %(since)s AND %(to)s AND {lane_queries.STATE_OF_FOUND} = 'queued'
    UNION
    SELECT unnest(%(known)s::bigint[])
)
SELECT endpoint_id FROM (SELECT endpoint_id FROM lane WHERE {HAS_UNCLAIMED}) due WHERE {CAN_SEND}
"""
NEWEST_ID = f"SELECT last_value FROM {partitions.SEQUENCE}"
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


# Hooks of the last seconds are new: a transaction may take its ids a moment before its commit. One that takes longer,
# and whose wake-up is lost, is found by the next search of all lanes.
NEW_SECONDS = 2.0
NEW_AT_FIRST = 10_000  # ids before the newest one; at the first look, the dispatcher may have missed wake-ups


class DueLanes:
    """Looks for lanes with a first attempt to send, in the memory of one dispatcher."""

    def __init__(self) -> None:
        # when a look began, by time.monotonic(), and the newest id then; the first is older than NEW_SECONDS
        self.newest: deque[tuple[float, int]] = deque()
        self.waiting: list[int] = []  # those that the last search of all lanes has found
        self.oldest = 0  # no hook with a smaller id waited then

    def search_all(
        self, session: psycopg.Connection[Any], note_late: Callable[[int], object] = lambda lane: None
    ) -> list[int]:
        """Returns the lanes with a hook due now, retries included. Four queries; see due_lanes()."""
        self.note_newest(session)
        bounds = partitions.waiting_bounds(session.execute)
        self.waiting = due_lanes(session, note_late, bounds)
        self.oldest = bounds["from"] if bounds["to"] >= 0 else self.newest[0][1]
        return self.waiting

    def search_new(self, session: psycopg.Connection[Any], owned: Collection[int]) -> list[int]:
        """Returns the lanes with a first attempt to send now: those of new hooks, of `waiting` and of `owned`.

        The number of pages that it reads depends on the new hooks and on these lanes only. Two queries.
        """
        last = self.note_newest(session)
        since = self.newest[0][1]
        parameters = {
            "since": since,
            "from": min(since, self.oldest),
            "to": partitions.end_of_next_day(last),
            "known": sorted({*self.waiting, *owned}),
        }
        return [row[0] for row in session.execute(DUE_OF_NEW_HOOKS, parameters).fetchall()]

    def note_newest(self, session: psycopg.Connection[Any]) -> int:
        """Note the newest id of a hook now; returns it. One query."""
        now = time.monotonic()
        row = session.execute(NEWEST_ID).fetchone()
        last = int(row[0]) if row else 0
        self.newest.append((now, last if self.newest else max(last - NEW_AT_FIRST, 0)))
        while len(self.newest) > 1 and self.newest[1][0] <= now - NEW_SECONDS:
            self.newest.popleft()
        return last


def due_lanes(
    session: psycopg.Connection[Any],
    note_late: Callable[[int], object] = lambda lane: None,
    bounds: Mapping[str, int] | None = None,
) -> list[int]:
    """Returns the lanes with a hook due now. Before, calls `note_late` with those to search whole for due retries.

    `bounds` are partitions.waiting_bounds(), which is called if they are None.
    """
    if bounds is None:
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
