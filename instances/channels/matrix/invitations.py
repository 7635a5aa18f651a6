"""How many rooms an account joins because others want it to, so that a stranger cannot fill it with thousands.

An invitation beyond a limit is declined: the person sees that, and can invite again later. The counts are those of a
receiver process, across its connections: a homeserver that refuses a join must not start them again.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from time import monotonic

HOUR = 3600.0
SENDER_PER_HOUR = 30  # joins because of one user
PER_HOUR = 300  # joins of an account
MAX_ROOMS = 5_000  # rooms that an account is in; then it joins no more
KEPT_ACCOUNTS = 10_000  # whose counts a process remembers


class JoinLimits:
    """The joins of one account within the last hour, by the user who wanted them."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self.joins: deque[tuple[float, str]] = deque()

    def refusal(self, sender: str, rooms: int) -> str:
        """Returns why the account, which is in so many rooms, joins none for this user now; "" if it may."""
        while self.joins and self.joins[0][0] <= self.clock() - HOUR:
            self.joins.popleft()
        if rooms >= MAX_ROOMS:
            return f"the account is in {rooms:,} rooms"
        if len(self.joins) >= PER_HOUR:
            return f"the account has joined {PER_HOUR} rooms within an hour"
        if sum(user == sender for _, user in self.joins) >= SENDER_PER_HOUR:
            return f"this user has invited it to {SENDER_PER_HOUR} rooms within an hour"
        return ""

    def count(self, sender: str) -> None:
        self.joins.append((self.clock(), sender))


@functools.lru_cache(maxsize=KEPT_ACCOUNTS)
def limits_of(user: str) -> JoinLimits:
    """Returns the limits of an account, the same ones for all its connections."""
    return JoinLimits()
