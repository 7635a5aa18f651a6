"""Slots for requests that occupy a thread of the web server for long; it has 40 (chatapi/runtime/web.py).

Without a limit, a few slow servers or clients could occupy all threads.
"""

import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class ThreadSlots:
    """At most `total` slots are taken in this process, and at most `per_owner` by one owner."""

    def __init__(self, total: int, per_owner: int | None = None) -> None:
        self.total = total
        self.per_owner = total if per_owner is None else per_owner
        self._taken: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    def acquire(self, owner: Hashable) -> bool:
        """Take a slot; returns False if none is free. The caller must release it."""
        with self._lock:
            if self._taken.total() >= self.total or self._taken[owner] >= self.per_owner:
                return False
            self._taken[owner] += 1
            return True

    def release(self, owner: Hashable) -> None:
        """Release one slot of this owner."""
        with self._lock:
            self._taken[owner] -= 1
            if self._taken[owner] <= 0:
                del self._taken[owner]

    @contextmanager
    def hold(self, owner: Hashable) -> Iterator[bool]:
        """Yields whether a slot was free; if so, it is released at the end."""
        if not self.acquire(owner):
            yield False
            return
        try:
            yield True
        finally:
            self.release(owner)
