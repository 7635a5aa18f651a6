"""After a pause a lane's hooks go at a rate that grows, so that what has gathered does not flood its endpoint.

The rate is kept where hooks are claimed: what is not claimed waits in its row, and costs no seat.
"""

from __future__ import annotations

import time

SECONDS = 120.0  # from the resume on; then a lane is bounded by its width alone
FIRST_RATE = 1.0  # hooks a second …
DOUBLES_EVERY = 10.0  # … and twice as many every 10 s: 64/s after a minute, 4 096/s at the end


def rate(since: float) -> float:
    """Hooks a second, `since` seconds after the resume."""
    return FIRST_RATE * 2 ** (max(since, 0.0) / DOUBLES_EVERY)


class CatchUp:
    """How many hooks each lane that catches up may still claim; in one dispatcher's memory.

    The lane belongs to this dispatcher. A successor begins with one hook, so a hand-over sends no flood.
    """

    def __init__(self) -> None:
        self.lanes: dict[int, tuple[float, float]] = {}  # lane → (by time.monotonic(): asked last, left over)

    def grant(self, lane: int, wanted: int, since: float | None) -> int:
        """How many of the `wanted` hooks to claim now; `since`: seconds after the resume, None: never paused."""
        if since is None or since >= SECONDS:
            self.lanes.pop(lane, None)
            return wanted
        now = time.monotonic()
        asked, left = self.lanes.get(lane, (now, 1.0))
        most = max(rate(since), 1.0)  # what a lane has not used for a second is forgotten
        left = min(left + (now - asked) * rate(since), most)
        granted = min(wanted, int(left))
        self.lanes[lane] = (now, left - granted)
        return granted
