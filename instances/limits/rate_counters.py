"""Counts how often something happened in the current minute, or another period, in all web processes of a machine.

The counters are in a file that the processes map into their memory: 2 µs a count, no database, no lock between
processes. Each key has one cell in each of ROWS rows, and its count is the smallest of them, because two keys that
share one cell rarely share the other (a count-min sketch). A cell contains its period, so cells need no reset, and each
length of a period has a file: keys with another period would reset each other's cells. If two processes count in the
same microsecond, one count may be lost; that is acceptable for limits.
"""

import hashlib
import mmap
import os
import threading
import time
from pathlib import Path

from django.conf import settings

MINUTE = 60  # seconds
ROWS = 2
CELLS = 32_768  # in a row
COUNT_BITS = 32
_COUNT = (1 << COUNT_BITS) - 1

_lock = threading.Lock()
_tables: "dict[int, memoryview[int]]" = {}  # by the period in seconds


def add(kind: str, key: object, by: int = 1, *, period: int = MINUTE) -> int:
    """Add to the count of this minute and return it; `period` in seconds."""
    current = current_period(period)
    with _lock:
        table = table_of(period)
        counts = []
        for cell in cells(kind, key):
            held = table[cell]
            new = min((held & _COUNT) + by if held >> COUNT_BITS == current else by, _COUNT)
            table[cell] = current << COUNT_BITS | new
            counts.append(new)
    return min(counts)


def count(kind: str, key: object, *, period: int = MINUTE) -> int:
    """Returns the count of this minute."""
    current = current_period(period)
    with _lock:
        table = table_of(period)
        held = [table[cell] for cell in cells(kind, key)]
    return min(one & _COUNT if one >> COUNT_BITS == current else 0 for one in held)


def set_at_least(kind: str, key: object, value: int, current: int, *, period: int = MINUTE) -> None:
    """Set the count of the minute `current`, a result of current_period(), if it is lower. A later minute keeps its."""
    wanted = current << COUNT_BITS | min(value, _COUNT)
    with _lock:
        table = table_of(period)
        for cell in cells(kind, key):
            table[cell] = max(table[cell], wanted)


def seconds_left(period: int = MINUTE) -> int:
    """Returns the seconds until the period ends, from 1 to its length."""
    return period - int(time.time()) % period


def reset() -> None:
    """Set the counts of each minute, and of the other periods that this process has used, to 0, in every process."""
    with _lock:
        for period in {MINUTE, *_tables}:
            table = table_of(period)
            table[:] = memoryview(bytes(table.nbytes)).cast("Q")


def current_period(period: int = MINUTE) -> int:
    return int(time.time() // period) & _COUNT


def cells(kind: str, key: object) -> list[int]:
    """Returns the cells of a key, the same in every process."""
    digest = hashlib.blake2b(f"{kind} {key}".encode(errors="replace"), digest_size=4 * ROWS).digest()
    return [row * CELLS + int.from_bytes(digest[4 * row : 4 * row + 4]) % CELLS for row in range(ROWS)]


def table_of(period: int) -> "memoryview[int]":
    """Returns the table of this period; maps it into memory at first use. The caller holds the lock."""
    if period not in _tables:
        _tables[period] = open_table(file_of(period))
    return _tables[period]


def file_of(period: int) -> Path:
    return Path(settings.DATA_DIR) / ("counters" if period == MINUTE else f"counters-{period}")


def open_table(path: Path) -> "memoryview[int]":
    """Map the table into memory; only in this process's memory if DATA_DIR is not writable."""
    size = ROWS * CELLS * 8
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(file).st_size != size:
                os.ftruncate(file, size)
            memory = mmap.mmap(file, size)
        finally:
            os.close(file)
    except OSError:
        memory = mmap.mmap(-1, size)
    return memoryview(memory).cast("Q")
