"""Partitions of the two large tables, hooks and attempts: one for each period, by ranges of the hook's id.

The ids of a day begin at `day * 2**36`, `day` counted from 1970-01-01 UTC: when a day begins, a task moves the sequence
forward (start_day). So an id says on which day its hook was created, "by id" is "by time" as before, the key of both
tables is the hook's id alone, and no look-up by id needs a time. Ids stay below 2**53, which JSON readers keep exact,
until the year 2328.

Nothing depends on the task's punctuality, or on a clock: while it does not run, ids continue in the day before, and
the sequence is never moved back. Partitions are made a week ahead. There is no DEFAULT partition, because each new one
would have to be compared with its rows.

An older installation's hooks are in one first partition (LEGACY), which was its table; their ids are below 2**36.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from django.db import ProgrammingError

DAY_BITS = 36
DAYS_AHEAD = 7  # at least so many days after today have partitions
EPOCH = date(1970, 1, 1)
LEGACY_END = 1 << DAY_BITS
LEGACY = "before"  # the end of the names of tables that were there before partitions
# table → the column that is compared with the range
TABLES = {"hooks_hook": "id", "hooks_attempt": "hook_id"}
SEQUENCE = "hooks_hook_id_seq"
# Advisory locks: only one process makes partitions or moves the sequence …
LOCK = 0x686B_0010
# … and while the hooks of an old partition are counted and dropped, no other task deletes hooks (see WAIT_FOR_DROP).
DROP_LOCK = 0x686B_0011
# The first statement of a transaction that deletes hooks.
WAIT_FOR_DROP = f"SELECT pg_advisory_xact_lock_shared({DROP_LOCK})"

# See migration 0003: half of a page is free for the update that records the result.
STORAGE = {
    "hooks_hook": (
        "fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,"
        " autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_limit = 2000"
    ),
    "hooks_attempt": (
        "autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05,"
        " autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_limit = 2000"
    ),
}
# What a partition has in common with its table. Indexes are found by ATTACH; the identity belongs to the table alone.
COMMON = "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE"

# Subqueries and no join: the dispatcher's sessions have no nested loops, and would read all of pg_class.
PARTITIONS = """
SELECT (SELECT relname FROM pg_class WHERE oid = inhrelid),
    (SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = inhrelid)
FROM pg_inherits WHERE inhparent = %s::regclass
"""
# In the order of hooks_hook_state, one probe of it.
WAITS = "(SELECT id FROM {table} WHERE state = '{state}' ORDER BY state, endpoint_id, id LIMIT 1) IS NOT NULL"
BOUNDS = re.compile(r"FOR VALUES FROM \((MINVALUE|'?\d+'?)\) TO \('?(\d+)'?\)")


@dataclass(frozen=True)
class Partition:
    """The hooks of one period, in a partition of each table: ids from `start` to before `end`."""

    suffix: str
    start: int
    end: int

    @property
    def is_legacy(self) -> bool:
        return self.start == 0

    @property
    def ends_on(self) -> date:
        """The first day whose ids are behind it."""
        return EPOCH + timedelta(days=self.end >> DAY_BITS)

    def of(self, table: str) -> str:
        """Returns the name of this partition of a table."""
        return f"{table}_{self.suffix}"


def first_id(day: date) -> int:
    """Returns the id at which a day begins."""
    return (day - EPOCH).days << DAY_BITS


def waiting_bounds(execute: Callable[..., Any]) -> dict[str, int]:
    """Returns the `from` and `to` of the partitions between the first and the last one with waiting hooks.

    `execute` is that of a psycopg session, or of Django's cursor. If none has one, no id is between them; all are if a
    partition was dropped meanwhile. Two queries.
    """
    found = parsed(execute(PARTITIONS, ["hooks_hook"]).fetchall(), "hooks_hook")
    probes = " UNION ALL ".join(
        f"SELECT {number} WHERE {WAITS.format(table=partition.of('hooks_hook'), state='queued')}"
        f" OR {WAITS.format(table=partition.of('hooks_hook'), state='retrying')}"
        for number, partition in enumerate(found)
    )
    try:
        waiting = [found[number] for (number,) in execute(probes).fetchall()]
    except (psycopg.errors.UndefinedTable, ProgrammingError) as error:
        if not isinstance(error.__cause__ or error, psycopg.errors.UndefinedTable):
            raise
        return {"from": 0, "to": 2**63 - 1}  # a partition was dropped between the two queries
    return {
        "from": min((partition.start for partition in waiting), default=0),
        "to": max((partition.end - 1 for partition in waiting), default=-1),
    }


def end_of_next_day(last_id: int) -> int:
    """Returns the last id of the day after the one of `last_id`: an upper bound that spares partitions made ahead."""
    return (((last_id >> DAY_BITS) + 2) << DAY_BITS) - 1


def today() -> date:
    return datetime.now(UTC).date()


def existing(cursor: Any, table: str = "hooks_hook") -> list[Partition]:
    """Returns the attached partitions, in the order of their ids."""
    cursor.execute(PARTITIONS, [table])
    return parsed(cursor.fetchall(), table)


def parsed(rows: Sequence[tuple[str, str]], table: str) -> list[Partition]:
    """Returns the partitions from the rows of PARTITIONS, in the order of their ids."""
    found = []
    for name, bound in rows:
        match = BOUNDS.fullmatch(bound)
        if match is None:
            raise ValueError(f"{name} has a bound that this version does not know: {bound}")
        start, end = (0 if value == "MINVALUE" else int(value.strip("'")) for value in match.groups())
        found.append(Partition(name.removeprefix(f"{table}_"), start, end))
    return sorted(found, key=lambda partition: partition.start)


def make(cursor: Any, start: date, end: date) -> None:
    """Make the partitions of both tables for these days. Stops no reader and no writer.

    ATTACH needs a weaker lock than CREATE TABLE … PARTITION OF, which waits for all who use the table.
    """
    partition = Partition(f"{start:%Y%m%d}", first_id(start), first_id(end))
    for table in TABLES:
        name = partition.of(table)
        cursor.execute(
            f"CREATE TABLE {name} (LIKE {table} {COMMON} INCLUDING INDEXES) WITH ({STORAGE[table]})"
        )
        cursor.execute(
            f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({partition.start}) TO ({partition.end})"
        )


def make_ahead(cursor: Any, day: date, length: int) -> int:
    """Make the partitions that are missing, up to DAYS_AHEAD days after `day`, each of `length` days.

    Returns how many. Call in a transaction, and start_day() after its commit.
    """
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    covered = max((partition.ends_on for partition in existing(cursor)), default=day)
    made = 0
    while covered <= day + timedelta(days=DAYS_AHEAD):
        start = max(covered, day)
        covered = start + timedelta(days=length)
        make(cursor, start, covered)
        made += 1
    return made


def start_day(cursor: Any, day: date) -> bool:
    """Move the sequence to the ids of `day`, if they have a partition and it is not there yet; returns whether it did.

    Call in a transaction. An id that was taken before and is committed later belongs to the day before.
    """
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    first = first_id(day)
    if not any(partition.start <= first < partition.end for partition in existing(cursor)):
        return False
    cursor.execute(
        f"SELECT setval('{SEQUENCE}', %(first)s, false) FROM {SEQUENCE} WHERE last_value < %(first)s",
        {"first": first},
    )
    return cursor.fetchone() is not None
