"""Builds the SQL that lists the lanes with hooks: a loose index scan, shared by all queries that need it.

PostgreSQL has no skip scan for DISTINCT. The recursive query reads one index entry per lane, however many hooks a lane
has, so the backlog of a paused endpoint or of a large instance costs one probe.
"""

from __future__ import annotations

from hooks.models import State

# The state of a hook, for statements that find hooks by id. The concatenation keeps the planner from using an index on
# the state: with the statistics of an idle table (nothing queued) it expected one queued hook, started from the state
# index, and ran the rest of the statement once per hook of the backlog. A claim of 220 hooks with 22 000 waiting took
# 14 s instead of 41 ms. For the same reason each statement filters its ids by ANY in addition to the join: with the
# statistics of an emptied table the planner started from the whole table.
STATE_OF_FOUND = "h.state || ''"
MAX_ID = 2**63 - 1
# In the queries over all lanes: only in the partitions with waiting hooks (partitions.waiting_bounds), usually one. A
# probe of each partition for each lane would cost lanes × partitions.
IN_BOUNDS = "id BETWEEN %(from)s AND %(to)s"


def lanes_cte(state: State | None = None, *, name: str = "lane") -> str:
    """Returns a CTE with the `endpoint_id` of each lane with a hook, in order; with `state`, one in it and IN_BOUNDS.

    Put it after WITH RECURSIVE. Its last row is NULL: join it, or filter it out.
    """
    where, also = (
        (f"WHERE state = '{state.value}' AND {IN_BOUNDS}", f"h.state = '{state.value}' AND h.{IN_BOUNDS} AND")
        if state
        else ("", "")
    )
    # the order of hooks_hook_state or hooks_hook_log, and of no other index
    order = "id" if state else "id DESC"
    return f"""{name} AS (
    (SELECT endpoint_id FROM hooks_hook {where} ORDER BY endpoint_id, {order} LIMIT 1)
    UNION ALL
    SELECT (SELECT h.endpoint_id FROM hooks_hook h
            WHERE {also} h.endpoint_id > {name}.endpoint_id ORDER BY h.endpoint_id, h.{order} LIMIT 1)
    FROM {name} WHERE {name}.endpoint_id IS NOT NULL
)"""


def newest_lane(columns: str, endpoint: str) -> str:
    """A SELECT of columns of the row `l` in hooks_lane; `endpoint` is an SQL expression for its key. It locks nothing.

    While an old transaction is open, the row has former versions, and the index of the key has entries of them. They
    are in the order of their periods, and those of one period in the order of their places; new versions are at the end
    of the table. So the search from the last entry usually finds the row first; BETWEEN keeps the planner from leaving
    out the order.
    """
    of_lane = f"l.endpoint_id BETWEEN {endpoint} AND {endpoint}"
    return f"SELECT {columns} FROM hooks_lane l WHERE {of_lane} ORDER BY l.endpoint_id DESC LIMIT 1"


def unclaimed(column: str, lane: str = "l") -> str:
    """A SELECT of a column of the first hook of a lane that waits and was not claimed; `lane`: a row of hooks_lane.

    BETWEEN and the order by endpoint leave only the index hooks_hook_state. IN_BOUNDS has parameters.
    """
    of_lane = f"endpoint_id BETWEEN {lane}.endpoint_id AND {lane}.endpoint_id AND id > {lane}.cursor AND {IN_BOUNDS}"
    return f"SELECT {column} FROM hooks_hook WHERE state = 'queued' AND {of_lane} ORDER BY endpoint_id, id LIMIT 1"


def first_in_state(state: State, endpoint_id: str, columns: str = "id", *, after: str = "0") -> str:
    """A SELECT of a lane's oldest hook in `state` with an id over `after`.

    `endpoint_id` and `after` are SQL expressions. One probe of hooks_hook_state. BETWEEN and the order by endpoint
    leave only that index; with `=`, the planner may sort all retries of the lane.
    """
    lane = f"endpoint_id BETWEEN {endpoint_id} AND {endpoint_id} AND id > {after}"
    return f"SELECT {columns} FROM hooks_hook WHERE state = '{state.value}' AND {lane} ORDER BY endpoint_id, id LIMIT 1"


def held_by_retry_sql(*, endpoint: str = "e") -> str:
    """SQL condition: the lane has strictOrder, and its oldest waiting hook is a retry that is not due yet.

    First attempts are searched behind the cursor: the index has entries of those that were sent, too.
    """
    lane = f"{endpoint}.id"
    cursor = f"({newest_lane('l.cursor', lane)})"
    return f"""({endpoint}.strict AND EXISTS (
    SELECT FROM ({first_in_state(State.RETRYING, lane, "id, next_attempt_at")}) retry
    WHERE retry.next_attempt_at > statement_timestamp()
    AND retry.id < COALESCE(({first_in_state(State.QUEUED, lane, after=cursor)}), {MAX_ID})
))"""


def earliest_retries_cte(*, name: str = "retry") -> str:
    """Returns a CTE with the earliest retry of each lane: `endpoint_id`, `next_attempt_at`.

    Put it after WITH RECURSIVE. It has no NULL row. IN_BOUNDS has parameters.
    """
    return f"""{name} AS (
    (SELECT endpoint_id, next_attempt_at FROM hooks_hook WHERE state = 'retrying' AND {IN_BOUNDS}
     ORDER BY endpoint_id, next_attempt_at LIMIT 1)
    UNION ALL
    SELECT later.endpoint_id, later.next_attempt_at FROM {name} CROSS JOIN LATERAL (
        SELECT h.endpoint_id, h.next_attempt_at FROM hooks_hook h
        WHERE h.state = 'retrying' AND h.{IN_BOUNDS} AND h.endpoint_id > {name}.endpoint_id
        ORDER BY h.endpoint_id, h.next_attempt_at LIMIT 1
    ) later
)"""
