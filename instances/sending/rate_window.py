"""Keeps a rate exactly: at most `messages` starts in any `seconds`."""

from __future__ import annotations

from collections import deque

from instances.channels.requests import Rate


class RateWindow:
    """The last starts within a rate. All times are seconds of one monotonic clock.

    It keeps the times and not a number of tokens: a bucket that refills while it is emptied allows twice the rate in
    the first seconds, and messengers count in windows.
    """

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.starts: deque[float] = deque(maxlen=rate.messages)

    def ready_at(self, now: float) -> float:
        """Returns when the next message may start; `now` if that is now."""
        if len(self.starts) < self.rate.messages:
            return now
        return max(self.starts[0] + self.rate.seconds, now)

    def add(self, now: float) -> None:
        """Note a start, which ready_at() has allowed."""
        self.starts.append(now)

    def is_idle(self, now: float) -> bool:
        """Returns whether no start counts any more."""
        return not self.starts or self.starts[-1] + self.rate.seconds <= now
