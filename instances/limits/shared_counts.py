"""Counts calls, or bytes, of all machines together, almost without the database.

Each machine counts by itself (rate_counters.py). Each time its count of a key has grown by a fiftieth of the limit, it
writes the count to a row that the machines share, and reads those of the others. So a minute has 50 to 99 such
statements for each key and machine at most, and none for a client that makes fewer calls. A count takes 7 µs of CPU,
4 µs more than that of one machine; such a statement takes 130 µs, and PostgreSQL's own time.

All machines together may allow up to 2 % of the limit more for each of them, because a machine does not know what the
others have counted since their last statement. The limits protect the site from overload, so that is exact enough. One
machine alone allows no more than the limit, and a limit below 100 is exact: each of its calls is such a statement.
Machines whose clocks are in different minutes count apart, and so do machines without the database: a limit alone fails
no call. Do not count inside a transaction: it would hold the lock of the shared row until its end.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from django.db import Error, connection

from accounts.models import SharedValue
from instances.limits import rate_counters

STEPS = 50  # parts of the limit; each is rounded down, so there may be up to 99
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# The row has the count of each machine by its id. A count that was written twice changes nothing.
WRITE_AND_READ = f"""
    INSERT INTO {SharedValue._meta.db_table} AS held (key, value, expires_at)
    VALUES (%s, jsonb_build_object(%s::text, %s::bigint), %s)
    ON CONFLICT (key) DO UPDATE SET value = held.value || excluded.value
    RETURNING (SELECT sum(machine.value::bigint) FROM jsonb_each_text(held.value) machine WHERE machine.key <> %s)
"""


def add(kind: str, key: object, limit: int, by: int = 1, *, period: int = rate_counters.MINUTE) -> int:
    """Add to the count of this minute and return it, with what is known of other machines; `period` in seconds.

    One query each time that this machine's count reaches or passes a multiple of a fiftieth of the limit, until the
    limit is reached.
    """
    current = rate_counters.current_period(period)
    own = rate_counters.add(kind, key, by, period=period)
    others = count_elsewhere(kind, key, period)
    step = max(limit // STEPS, 1)
    is_step = own + others - by < limit and own // step > (own - by) // step
    # A count written for the wrong minute would refuse calls until the end of that minute.
    if is_step and rate_counters.current_period(period) == current:
        try:
            others = write_and_read(kind, key, own, current, period)
        except Error:  # of the database; the next step writes the whole count
            return own + others
        if others:
            rate_counters.set_at_least(f"{kind} elsewhere", key, others, current, period=period)
    return own + others


def count(kind: str, key: object, *, period: int = rate_counters.MINUTE) -> int:
    """Returns the count of this minute, with what is known of other machines. No query."""
    return rate_counters.count(kind, key, period=period) + count_elsewhere(kind, key, period)


def count_elsewhere(kind: str, key: object, period: int) -> int:
    return rate_counters.count(f"{kind} elsewhere", key, period=period)


def write_and_read(kind: str, key: object, own: int, current: int, period: int) -> int:
    """Write this machine's count of the minute `current`; returns the sum of those that other machines have written."""
    name = hashlib.sha256(f"calls {kind} {key} {period} {current}".encode(errors="replace")).digest()
    ends = datetime.fromtimestamp((current + 1) * period, UTC)
    machine = machine_id(period)
    with connection.cursor() as cursor:
        cursor.execute(WRITE_AND_READ, [uuid.UUID(bytes=name[:16]), machine, own, ends, machine])
        return int(cursor.fetchone()[0] or 0)


@cache
def machine_id(period: int) -> str:
    """Returns what the processes have in common that count in the same file: the same machine and DATA_DIR.

    The first count creates the file. A process that counts for itself, because DATA_DIR is not writable, has an id of
    its own.
    """
    file = rate_counters.file_of(period)
    if not os.access(file, os.R_OK | os.W_OK):
        return uuid.uuid4().hex
    found = file.stat()
    boot = BOOT_ID.read_text() if BOOT_ID.exists() else str(uuid.getnode())
    return hashlib.sha256(f"{boot} {found.st_dev} {found.st_ino}".encode()).hexdigest()[:32]
