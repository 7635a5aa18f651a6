"""Bounds the search for due retries: of each lane, to those that became due since all earlier ones were claimed.

A hook that was retried leaves an entry in the index of retries until vacuum removes it. While any old transaction is
open, such as a long pg_dump, vacuum removes none, and a search from the first entry reads all of them again: with a
transaction open for five minutes, of lanes with five retries per second, 30 ms for each lane and claim.

A retry that a window leaves out is late: its time was changed, or it was recorded late. The sweep finds it, and the
lane is searched whole (database_threads.py, Sweeper).
"""

from __future__ import annotations

from collections.abc import Iterable

ALL = 0.0  # the beginning of a window that leaves out nothing
# A retry may be recorded a moment after the time for which it is planned, and clocks differ.
OVERLAP = 5.0  # s
# Hooks that were handed back by another process keep their old time: from time to time, all are searched.
WHOLE_EVERY = 30.0  # s


class RetryWindows:
    """When all due retries of a lane were claimed, in the memory of the dispatcher that owns it.

    Each time is taken twice: `now` by time.monotonic(), and `at` by the database's clock, in seconds since 1970. If
    that clock is set forward or back, the window begins at the earlier one of both.
    """

    def __init__(self) -> None:
        # lane → (all retries due then were claimed: now, at; the last search of the whole lane); 0.3 KB each
        self.lanes: dict[int, tuple[float, float, float]] = {}

    def begin(self, lane: int, now: float, at: float) -> float:
        """Returns the time after which retries of this lane became due that were not searched yet."""
        found = self.lanes.get(lane)
        if found is None:
            return ALL
        claimed_now, claimed_at, whole_now = found
        if now - whole_now >= WHOLE_EVERY:
            return ALL
        return min(claimed_at, at - (now - claimed_now)) - OVERLAP

    def note_claim(self, lane: int, now: float, at: float, *, whole: bool) -> None:
        """A claim that began then has left no due retry; `whole`: it has searched the whole lane."""
        whole_now = now if whole or lane not in self.lanes else self.lanes[lane][2]
        self.lanes[lane] = now, at, whole_now

    def forget(self, lanes: Iterable[int] | None = None) -> None:
        """Search these lanes from the first retry again; all lanes if None."""
        if lanes is None:
            self.lanes.clear()
            return
        for lane in lanes:
            self.lanes.pop(lane, None)
