"""How often something has happened in this minute, or another period, counted once for all web processes of a machine.

A table of counters in a file that the processes map into their memory: 2 µs a count, no database, no lock between
them. Each key has a cell in each of ROWS rows, and the smallest of them is its count: two keys that share one cell
hardly ever share the other (a count-min sketch). A cell holds its period beside its count, so nothing has to be wiped.
Two processes that count in the same microsecond may lose one: these are limits, not bills.
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
_table: "memoryview[int] | None" = None


def add(kind: str, key: object, by: int = 1, *, period: int = MINUTE) -> int:
    """Counts, and returns how often it has happened in this minute, this time included; `period` in seconds."""
    current = current_period(period)
    with _lock:
        table = _table if _table is not None else opened()
        counts = []
        for cell in cells(kind, key):
            held = table[cell]
            count = min((held & _COUNT) + by if held >> COUNT_BITS == current else by, _COUNT)
            table[cell] = current << COUNT_BITS | count
            counts.append(count)
    return min(counts)


def seen(kind: str, key: object, *, period: int = MINUTE) -> int:
    """How often it has happened in this minute."""
    current = current_period(period)
    with _lock:
        table = _table if _table is not None else opened()
        held = [table[cell] for cell in cells(kind, key)]
    return min(one & _COUNT if one >> COUNT_BITS == current else 0 for one in held)


def seconds_left(period: int = MINUTE) -> int:
    """Until the period ends: 1 to its length."""
    return period - int(time.time()) % period


def forget() -> None:
    """All counts are 0, in every process."""
    with _lock:
        table = _table if _table is not None else opened()
        table[:] = memoryview(bytes(table.nbytes)).cast("Q")


def current_period(period: int = MINUTE) -> int:
    return int(time.time() // period) & _COUNT


def cells(kind: str, key: object) -> list[int]:
    """The places of a key, the same in every process."""
    digest = hashlib.blake2b(f"{kind} {key}".encode(errors="replace"), digest_size=4 * ROWS).digest()
    return [row * CELLS + int.from_bytes(digest[4 * row : 4 * row + 4]) % CELLS for row in range(ROWS)]


def opened() -> "memoryview[int]":
    """The table; in the memory of this process alone where DATA_DIR can't be written to."""
    global _table
    size = ROWS * CELLS * 8
    try:
        file = os.open(Path(settings.DATA_DIR) / "counters", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(file).st_size != size:
                os.ftruncate(file, size)
            memory = mmap.mmap(file, size)
        finally:
            os.close(file)
    except OSError:
        memory = mmap.mmap(-1, size)
    _table = memoryview(memory).cast("Q")
    return _table
