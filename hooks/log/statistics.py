"""Counts hooks as they finish: how many of each endpoint and minute are delivered, and how many failed.

The minute is that of the event, as in the log and its chart, taken from the hook's public id. The counts tell the
present state of hooks: a resend subtracts the hook until it has finished again. Waiting, skipped and cancelled hooks
are not counted here: most are few, and emit() would have to write the rows that dispatchers write too, so that an open
transaction of one event would stop the dispatcher for all.

Every writer changes these rows after all its other rows but the tally's, in the order of their keys, so no two wait for
each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import psycopg
from django.db import connection

from hooks.models import CountingStart, State

MINUTE_MS = 60_000
DROP_BATCH = 10_000  # rows deleted by one transaction

# A minute's row is changed many times while it is new; fillfactor (migration 0018) keeps that on its page.
ADD = """
INSERT INTO hooks_minutecount AS c (endpoint_id, minute, delivered, failed)
SELECT endpoint_id, to_timestamp(minute * 60.0), delivered, failed
FROM unnest(%s::bigint[], %s::bigint[], %s::int[], %s::int[]) AS u (endpoint_id, minute, delivered, failed)
ON CONFLICT (endpoint_id, minute) DO UPDATE SET
    delivered = c.delivered + excluded.delivered, failed = c.failed + excluded.failed
"""
BARS = """
SELECT width_bucket(minute, %(edges)s::timestamptz[]) - 1, sum(delivered)::bigint, sum(failed)::bigint
FROM hooks_minutecount WHERE endpoint_id = ANY(%(endpoints)s) AND minute >= %(start)s AND minute < %(end)s GROUP BY 1
"""
# The same, and the sums of each endpoint, from one scan: with 320,000 rows of 1,000 endpoints, a second one took as
# long again, and GROUPING SETS in place of the two steps 1.4 × the time.
BARS_AND_SUMS = """
WITH counted AS MATERIALIZED (
    SELECT width_bucket(minute, %(edges)s::timestamptz[]) - 1 AS bar, endpoint_id,
        sum(delivered)::bigint AS delivered, sum(failed)::bigint AS failed
    FROM hooks_minutecount WHERE endpoint_id = ANY(%(endpoints)s) AND minute >= %(start)s AND minute < %(end)s
    GROUP BY 1, 2
)
SELECT bar, NULL, sum(delivered)::bigint, sum(failed)::bigint FROM counted GROUP BY bar
UNION ALL
SELECT NULL, endpoint_id, sum(delivered)::bigint, sum(failed)::bigint FROM counted GROUP BY endpoint_id
"""
DROP = """
DELETE FROM hooks_minutecount WHERE (endpoint_id, minute) IN (
    SELECT endpoint_id, minute FROM hooks_minutecount WHERE minute < %s LIMIT %s
)
"""
DROP_OF_ENDPOINT = "DELETE FROM hooks_minutecount WHERE endpoint_id = %s"

COUNTED = (State.DELIVERED, State.FAILED)


class Recorded(Protocol):
    """What is read of a result of hooks.dispatch: its hook, and the state that the hook has now."""

    @property
    def hook(self) -> Any: ...

    @property
    def state(self) -> State: ...


def minute_of(hex_id: str) -> int:
    """Returns the minute since 1970 in which a hook was created, from its public id: a UUID of version 7 in hex."""
    return int(hex_id[:12], 16) // MINUTE_MS


def count_results(cursor: psycopg.Cursor[Any], results: Iterable[Recorded]) -> None:
    """Count the hooks of these recorded results that are delivered or failed now. One statement, none without any."""
    add(
        cursor,
        (
            (
                result.hook.endpoint_id,
                minute_of(result.hook.webhook_id.removeprefix("hook_")),
                result.state,
                1,
            )
            for result in results
        ),
    )


def subtract(hooks: Iterable[tuple[int, str, str]]) -> None:
    """Subtract hooks that are resent, as (endpoint, public id in hex, state until now), in the caller's transaction."""
    with connection.cursor() as cursor:
        add(cursor, ((endpoint, minute_of(hex_id), state, -1) for endpoint, hex_id, state in hooks))


def add(cursor: Any, changes: Iterable[tuple[int, int, str, int]]) -> None:
    """Add these changes: endpoint, minute since 1970, state, number. States other than COUNTED are left out."""
    found: dict[tuple[int, int], list[int]] = {}
    for endpoint, minute, state, number in changes:
        if state == State.DELIVERED:
            found.setdefault((endpoint, minute), [0, 0])[0] += number
        elif state == State.FAILED:
            found.setdefault((endpoint, minute), [0, 0])[1] += number
    if not found:
        return
    keys = sorted(found)
    cursor.execute(
        ADD,
        [
            [endpoint for endpoint, _ in keys], [minute for _, minute in keys],
            [found[key][0] for key in keys], [found[key][1] for key in keys],
        ],
    )  # fmt: skip


def counted_since() -> datetime | None:
    """Returns the first minute whose hooks are all counted; None if none is."""
    at = CountingStart.objects.values_list("at", flat=True).first()
    return None if at is None else at.replace(second=0, microsecond=0) + timedelta(minutes=1)


# (place between two edges, state, number of hooks)
Counts = list[tuple[int, str, int]]
# The endpoint's id → how many of its hooks are delivered and failed; an endpoint without any is left out.
Sums = dict[int, tuple[int, int]]


def counts_between(endpoint_ids: Sequence[int], edges: Sequence[datetime]) -> Counts:
    """Returns the numbers of these endpoints' hooks in the counted states. One query. The edges are full minutes."""
    with connection.cursor() as cursor:
        cursor.execute(BARS, parameters(endpoint_ids, edges))
        return [count for row in cursor.fetchall() for count in by_state(*row)]


def counts_and_sums(endpoint_ids: Sequence[int], edges: Sequence[datetime]) -> tuple[Counts, Sums]:
    """Returns what counts_between returns, and the sums of each endpoint. One query."""
    counts: Counts = []
    sums: Sums = {}
    with connection.cursor() as cursor:
        cursor.execute(BARS_AND_SUMS, parameters(endpoint_ids, edges))
        for bar, endpoint, delivered, failed in cursor.fetchall():
            if endpoint is None:
                counts += by_state(bar, delivered, failed)
            else:
                sums[endpoint] = delivered, failed
    return counts, sums


def parameters(endpoint_ids: Sequence[int], edges: Sequence[datetime]) -> dict[str, Any]:
    return {"edges": list(edges), "endpoints": list(endpoint_ids), "start": edges[0], "end": edges[-1]}


def by_state(bar: int, delivered: int, failed: int) -> Counts:
    return [(bar, State.DELIVERED.value, delivered), (bar, State.FAILED.value, failed)]


def drop_before(at: datetime) -> int:
    """Delete one portion of the counts of minutes that ended before `at`; returns how many rows."""
    minute = at.astimezone(UTC).replace(second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(DROP, [minute, DROP_BATCH])
        return cursor.rowcount


def drop_of_endpoint(endpoint_id: int) -> None:
    """Delete all counts of an endpoint; at most one row per minute of retention."""
    with connection.cursor() as cursor:
        cursor.execute(DROP_OF_ENDPOINT, [endpoint_id])
