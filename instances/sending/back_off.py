"""When a failed message is tried again, and when an instance whose messenger fails is left alone."""

from __future__ import annotations

import random
from datetime import timedelta

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 300.0  # between two tries of a message: 1, 2, 4 … 256, 300, 300 …
JITTER = 0.2  # of a pause, to either side: messages that failed together are not tried together
TRIED_FOR = timedelta(days=1)  # since its first try; then the message fails

FAILURES = 5  # in a row, after which a breaker opens
FIRST_OPEN, LONGEST_OPEN = 5.0, 300.0  # s; how long: 5, 10, 20 … 300


def seconds_to_next_try(tries: int) -> float:
    """Returns the pause after this many tries, from 1."""
    pause = min(FIRST_SECONDS * 2.0 ** min(tries - 1, 16), LONGEST_SECONDS)
    return pause * random.uniform(1 - JITTER, 1 + JITTER)


class Breaker:
    """Stops sending for an instance after FAILURES failures in a row that are the messenger's or the network's fault.

    Then, one message at a time is tried; if it fails, the pause doubles. Times are seconds of a monotonic clock.
    """

    def __init__(self) -> None:
        self.failures = 0  # in a row
        self.opened = 0  # times in a row
        self.open_until = 0.0

    @property
    def is_closed(self) -> bool:
        """Returns whether messages are sent without restriction."""
        return not self.opened

    def note_success(self) -> None:
        self.failures = self.opened = 0
        self.open_until = 0.0

    def note_failure(self, now: float) -> bool:
        """Count a failure; returns whether it opens the breaker. One of a request from before the opening does not."""
        self.failures += 1
        if self.failures < FAILURES or now < self.open_until:
            return False
        self.open_until = now + min(FIRST_OPEN * 2.0 ** min(self.opened, 16), LONGEST_OPEN)
        self.opened += 1
        return True
