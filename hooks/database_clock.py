"""The time by the database's clock: due times and leases are compared with it, by any process on any machine.

A process whose own clock is wrong, or is set back or forward while it runs, would otherwise plan a retry for an hour
later, or send it at once. The runs of worker_slots.py read the clock with each heartbeat; in between, the time that
has passed is measured by a clock that cannot be set and that counts a suspended machine's sleep.

A reading is late by the time that the response took, which is a millisecond, or a hundred on a busy machine. If each
reading set the clock, the log would show a request that began before the one it had waited for ended. So a reading that
is a little behind sets the clock back by SLEW at most.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from django.db import connection

CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux has the first
SLEW = timedelta(milliseconds=0.5)  # at most between two readings; clocks drift by less than a tenth of it
STEP = timedelta(seconds=1)  # the database's clock was set if it is further behind
_read: tuple[datetime, float] | None = None  # the database's clock, and CLOCK at that moment
_users = 0


def start_using() -> None:
    """Count a run that calls update() from now on, in this process."""
    global _users
    _users += 1


def stop_using() -> None:
    """The run has ended. After the last one, now() is the machine's clock again."""
    global _users, _read
    _users -= 1
    if not _users:
        _read = None


def update(database_now: datetime) -> None:
    """Set the clock by a value of clock_timestamp() that was just read."""
    global _read
    if not _users:
        return
    ticks = time.clock_gettime(CLOCK)
    if _read is not None:
        expected = _read[0] + timedelta(seconds=ticks - _read[1])
        if timedelta() < expected - database_now < STEP:
            database_now = max(database_now, expected - SLEW)
    _read = database_now, ticks


def now() -> datetime:
    """Returns the time by the database's clock; by the machine's in a process that has no run."""
    if _read is None:
        return datetime.now(UTC)
    at, ticks = _read
    return at + timedelta(seconds=time.clock_gettime(CLOCK) - ticks)


def query_now() -> datetime:
    """Returns the time by the database's clock. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found
