"""Limits the rate of a lane after a pause: it increases, so that the backlog does not overload the endpoint.

The limit applies to claims: an unclaimed hook stays in the database and does not count as in flight.
"""

from __future__ import annotations

import time

CATCH_UP_SECONDS = 120.0  # after the resume; then only the lane's width limits it
FIRST_RATE = 1.0  # hooks per second …
DOUBLES_EVERY = 10.0  # … and twice as many every 10 s: 64/s after a minute, 4 096/s at the end


def rate(since: float) -> float:
    """Returns the rate in hooks per second, `since` seconds after the resume."""
    return FIRST_RATE * 2 ** (max(since, 0.0) / DOUBLES_EVERY)


class CatchUp:
    """The number of hooks that each resumed lane may claim now, in the memory of the dispatcher that owns the lane.

    A successor starts with one hook, so a hand-over does not cause a burst.
    """

    def __init__(self) -> None:
        self.lanes: dict[int, tuple[float, float]] = {}  # lane → (last grant by time.monotonic(), hooks left)

    def grant(self, lane: int, wanted: int, since: float | None) -> int:
        """Returns how many of `wanted` hooks to claim now; `since`: seconds since the resume, None: never paused."""
        if since is None or since >= CATCH_UP_SECONDS:
            self.lanes.pop(lane, None)
            return wanted
        now = time.monotonic()
        granted_at, left = self.lanes.get(lane, (now, 1.0))
        most = max(rate(since), 1.0)  # a lane keeps at most one second's worth
        left = min(left + (now - granted_at) * rate(since), most)
        granted = min(wanted, int(left))
        self.lanes[lane] = (now, left - granted)
        return granted
