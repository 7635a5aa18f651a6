"""Limits how many delayed responses wait in the web server at once.

A delayed response takes no thread: the web server's event loop waits (chatapi/runtime/web). But it keeps a connection
and up to 64 KB, also after its client has gone.
"""

import heapq
import threading
import time
from collections import Counter

MAX_DELAYED = 1000  # in a process
MAX_DELAYED_PER_BIN = 100


class DelayedResponses:
    """The delayed responses that wait now. Each is counted until its delay is over."""

    def __init__(self, total: int, per_bin: int) -> None:
        self.total = total
        self.per_bin = per_bin
        self._ends: list[tuple[float, int]] = []  # a heap of (end of the delay, bin)
        self._of_bin: Counter[int] = Counter()
        self._lock = threading.Lock()

    def add(self, bin_id: int, seconds: float) -> bool:
        """Count a response that waits from now on; returns False if too many wait already."""
        now = time.monotonic()
        with self._lock:
            while self._ends and self._ends[0][0] <= now:
                _, ended = heapq.heappop(self._ends)
                self._of_bin[ended] -= 1
                if not self._of_bin[ended]:
                    del self._of_bin[ended]
            if len(self._ends) >= self.total or self._of_bin[bin_id] >= self.per_bin:
                return False
            heapq.heappush(self._ends, (now + seconds, bin_id))
            self._of_bin[bin_id] += 1
            return True


WAITING = DelayedResponses(MAX_DELAYED, MAX_DELAYED_PER_BIN)
