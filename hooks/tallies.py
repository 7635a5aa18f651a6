"""How many hooks each endpoint has emitted: its Tally, and what its events have counted since then (EmittedCount).

An event locks the tally and inserts a row of EmittedCount. It changes no row: PostgreSQL would keep the former version
of a changed row until no transaction needs it any more, and while one stays open for long, such as a pg_dump, each
event would read all of them again. With 2,000 former versions of 40 tallies, that was 417 pages an event instead of 5.

add_up() moves the counts into the tallies. A statement that reads both sees each count once, whenever it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

TALLIES = 500  # changed by one transaction
ADD_UP_LOCK = 0x686B_0012  # the advisory lock of the run that adds up

EMITTED = """
SELECT t.endpoint_id, t.emitted + COALESCE(c.emitted, 0)
FROM hooks_tally t LEFT JOIN (
    SELECT endpoint_id, sum(emitted)::bigint AS emitted FROM hooks_emittedcount GROUP BY endpoint_id
) c ON c.endpoint_id = t.endpoint_id
WHERE t.endpoint_id = ANY(%s)
"""
# FULL JOIN: counts of deleted endpoints are part of the sums, but these are not endpoints.
TOTALS = """
SELECT count(*) FILTER (WHERE t.emitted + COALESCE(c.emitted, 0) > t.skipped + COALESCE(c.skipped, 0)),
    COALESCE(sum(t.emitted), 0)::bigint + COALESCE(sum(c.emitted), 0)::bigint,
    COALESCE(sum(t.skipped), 0)::bigint + COALESCE(sum(c.skipped), 0)::bigint,
    COALESCE(sum(t.cancelled), 0)::bigint
FROM hooks_tally t FULL JOIN (
    SELECT endpoint_id, sum(emitted)::bigint AS emitted, sum(skipped)::bigint AS skipped
    FROM hooks_emittedcount GROUP BY endpoint_id
) c ON c.endpoint_id = t.endpoint_id
"""
# One row for each endpoint instead of one for each event. It waits for no event, and none waits for it.
MERGE = """
WITH taken AS (
    DELETE FROM hooks_emittedcount RETURNING endpoint_id, emitted, skipped
)
INSERT INTO hooks_emittedcount (endpoint_id, emitted, skipped)
SELECT endpoint_id, sum(emitted), sum(skipped) FROM taken GROUP BY endpoint_id ORDER BY endpoint_id
RETURNING id
"""
# SKIP LOCKED: the count of an endpoint with an event that is not committed yet is left for the next run, so that its
# event does not delay the events of the other endpoints, whose tallies are locked here.
MOVE = """
WITH locked AS MATERIALIZED (
    SELECT c.id FROM hooks_emittedcount c JOIN hooks_tally t ON t.endpoint_id = c.endpoint_id
    WHERE c.id = ANY(%s) ORDER BY t.endpoint_id FOR NO KEY UPDATE OF t SKIP LOCKED
), taken AS (
    DELETE FROM hooks_emittedcount WHERE id = ANY (ARRAY(SELECT id FROM locked)) RETURNING endpoint_id, emitted, skipped
)
UPDATE hooks_tally t SET emitted = t.emitted + taken.emitted, skipped = t.skipped + taken.skipped
FROM taken WHERE t.endpoint_id = taken.endpoint_id
"""
# The totals of deleted endpoints are kept where the trigger on hooks_tally keeps those of their tallies. In a
# transaction of its own: a deletion holds these rows, and may wait for a tally.
KEEP_OF_DELETED = """
WITH taken AS (
    DELETE FROM hooks_emittedcount c
    WHERE NOT EXISTS (SELECT 1 FROM hooks_tally t WHERE t.endpoint_id = c.endpoint_id) RETURNING emitted, skipped
), total AS (
    SELECT sum(emitted) AS emitted, sum(skipped) AS skipped FROM taken HAVING count(*) > 0
)
INSERT INTO hooks_measure (slot, name, label, value)
SELECT 1001, 'emitted', '', emitted FROM total UNION ALL SELECT 1001, 'finished', 'skipped', skipped FROM total
ON CONFLICT (slot, name, label) DO UPDATE SET value = hooks_measure.value + excluded.value
"""


class Totals(NamedTuple):
    """The sums over all endpoints."""

    endpoints: int  # that exist, and have ever had a hook to send
    emitted: int
    skipped: int
    cancelled: int


def emitted(keys: Iterable[int]) -> dict[int, int]:
    """Returns how many hooks each of these endpoints has emitted. One query, which reads all of EmittedCount."""
    return dict(query(EMITTED, [list(keys)]))


def totals() -> Totals:
    """Returns the sums over all endpoints. One query."""
    [row] = query(TOTALS, [])
    return Totals(*row)


def add_up() -> str:
    """Add the counts of events to the tallies of their endpoints; returns a summary. A schedule calls it.

    A run that dies leaves every count either in its row or in its tally.
    """
    with small_transaction() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [ADD_UP_LOCK])
        if not cursor.fetchone()[0]:
            return "another run is adding up"
        cursor.execute(MERGE)
        merged = [row[0] for row in cursor.fetchall()]
    moved = 0
    for start in range(0, len(merged), TALLIES):
        with small_transaction() as cursor:
            cursor.execute(MOVE, [merged[start : start + TALLIES]])
            moved += cursor.rowcount
    with small_transaction() as cursor:
        cursor.execute(KEEP_OF_DELETED)
    return f"counts of {moved} of {len(merged)} endpoints added to their tallies"


@contextmanager
def small_transaction() -> Iterator[CursorWrapper]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")  # a transaction lost in a crash is repeated
        yield cursor


def query(sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()
