"""Finds the hooks of strict lanes (strictOrder) that may be claimed.

No hook of a strict lane is sent while an older one is unfinished: while an attempt runs, however late, and while a hook
waits for its retry, the lane waits. A resent hook takes its old place, before all newer hooks. A simulation is sent
outside the lane and does not hold it.

The rows alone decide, so this holds after a restart and for any number of dispatchers: a strict lane is claimed only
while none of its hooks is being sent, which includes the results that are not recorded yet. Then either the first
attempts before the first retry are claimed, or that retry alone. The dispatcher sends claimed first attempts one at a
time, and hands the rest back after a failure that will be retried (loop.py).
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import psycopg

from hooks.models import State
from hooks.sql import lane_queries

Turn = tuple[int, int | None]  # how many first attempts, or the id of the retry

TURNS = f"""
SELECT want.endpoint_id, retry.id, retry.next_attempt_at <= statement_timestamp() AS is_due, (
    SELECT count(*) FROM (
        SELECT FROM hooks_hook
        WHERE state = 'queued' AND endpoint_id BETWEEN want.endpoint_id AND want.endpoint_id AND id > want.cursor
        AND id < COALESCE(retry.id, {lane_queries.MAX_ID})
        ORDER BY endpoint_id, id LIMIT want.firsts
    ) before_retry
)
FROM unnest(%(lanes)s::bigint[], %(firsts)s::int[], %(cursors)s::bigint[], %(queue_starts)s::bigint[])
    AS want (endpoint_id, firsts, cursor, queue_start)
LEFT JOIN LATERAL (
    {lane_queries.first_in_state(State.RETRYING, "want.endpoint_id", "id, next_attempt_at")}
) retry ON true
WHERE (
    SELECT id FROM hooks_hook
    WHERE state = 'sending' AND endpoint_id BETWEEN want.endpoint_id AND want.endpoint_id AND NOT simulated
    ORDER BY endpoint_id, id LIMIT 1
) IS NULL
AND COALESCE(
    ({lane_queries.first_in_state(State.QUEUED, "want.endpoint_id", after="want.queue_start")}), {lane_queries.MAX_ID}
) > want.cursor
"""


def find_turns(
    session: psycopg.Connection[Any],
    wanted: Mapping[int, tuple[int, int]],
    queue_starts: MutableMapping[int, int],
) -> dict[int, Turn]:
    """Returns what may be claimed of each strict lane; lanes that must wait are left out.

    `wanted` has the most first attempts and the cursor of each lane, whose row is locked. `queue_starts` is the memory
    of the dispatcher: at an earlier call, no hook of the lane was queued up to this id. One can be queued again only if
    the cursor is moved back before it. So the index entries of hooks that were sent since, which vacuum leaves while an
    old transaction is open, are not read. One query; none without lanes.
    """
    if not wanted:
        return {}
    firsts, cursors = zip(*wanted.values(), strict=True)
    known = [min(queue_starts.get(lane, 0), cursor) for lane, (_, cursor) in wanted.items()]
    rows = session.execute(
        TURNS,
        {"lanes": list(wanted), "firsts": list(firsts), "cursors": list(cursors), "queue_starts": known},
    ).fetchall()
    queue_starts.update(zip(wanted, known, strict=True))
    turns: dict[int, Turn] = {}
    for lane, retry, is_due, before_retry in rows:
        queue_starts[lane] = wanted[lane][1]
        if before_retry:
            turns[lane] = before_retry, None
        elif is_due:
            turns[lane] = 0, retry
    return turns
