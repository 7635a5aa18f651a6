"""Limits how many hooks would be sent twice if the dispatcher were killed at this moment.

These are the requests in flight: their endpoints may have responded while the dispatcher does not know it yet. What it
has read is safe (journal.py). While it is busy, more than MAX_EXPOSED requests in flight make nothing faster. While it
waits for the responses of slower endpoints, they do: then the limit grows in steps.
"""

from __future__ import annotations

import time
from collections import deque

MAX_EXPOSED = 200
STEP = 16  # more requests for each time that the loop had to wait …
WAIT_SECONDS = 0.01  # … this long for a response, with hooks to send
# An endpoint with a longer average does not count, nor does a request without a response for longer.
SLOW_SECONDS = 0.5


class Request:
    """One counted request; end() ends its count, once."""

    __slots__ = ("exposure", "is_counted", "started")

    def __init__(self, exposure: Exposure) -> None:
        self.exposure = exposure
        self.started = time.monotonic()
        self.is_counted = True

    def end(self) -> None:
        if self.is_counted:
            self.is_counted = False
            self.exposure.count -= 1


class Exposure:
    """Counts the requests that are in flight for less than SLOW_SECONDS, and limits them."""

    def __init__(self) -> None:
        self.count = 0
        self.most = MAX_EXPOSED
        # in the order of their starts; also those that have finished meanwhile
        self.requests: deque[Request] = deque()

    def add(self, average_seconds: float) -> Request | None:
        """Count a request that starts now; `average_seconds` is its endpoint's, 0.0 if unknown. None: too slow."""
        if average_seconds >= SLOW_SECONDS:
            return None
        request = Request(self)
        self.requests.append(request)
        self.count += 1
        return request

    def room(self) -> int:
        """Returns how many requests may start now."""
        before = time.monotonic() - SLOW_SECONDS
        while self.requests and (not self.requests[0].is_counted or self.requests[0].started < before):
            self.requests.popleft().end()
        return self.most - self.count

    def grow(self, limit: int) -> None:
        """Allow STEP more, up to `limit`: the loop has waited for responses, and could have sent hooks."""
        self.most = min(self.most + STEP, max(limit, MAX_EXPOSED))

    def shrink(self) -> None:
        """Take back half of what grow() has added. Call it every second."""
        self.most = (self.most + MAX_EXPOSED) // 2
