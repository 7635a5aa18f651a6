"""Bounds the search for due retries: of each lane, to those that became due since all earlier ones were claimed.

A hook that was retried leaves an entry in the index of retries until vacuum removes it. While any old transaction is
open, such as a long pg_dump, vacuum removes none, and a search from the first entry reads all of them again: with a
transaction open for five minutes, of lanes with five retries per second, 30 ms for each lane and claim.
"""

from __future__ import annotations

from collections.abc import Iterable

ALL = 1e9  # s; a window that leaves out nothing
# A retry may be recorded a moment after the time for which it is planned, and clocks differ.
OVERLAP = 5.0  # s
# Hooks that were handed back by another process keep their old time: from time to time, all are searched.
WHOLE_EVERY = 30.0  # s


class RetryWindows:
    """When all due retries of a lane were claimed, in the memory of the dispatcher that owns it."""

    def __init__(self) -> None:
        # by time.monotonic(), lane → (all retries due then were claimed, the last search of the whole lane)
        self.lanes: dict[int, tuple[float, float]] = {}

    def seconds(self, lane: int, now: float) -> float:
        """Returns how far back to search for due retries of this lane."""
        claimed_at, whole_at = self.lanes.get(lane, (0.0, 0.0))
        if not claimed_at or now - whole_at >= WHOLE_EVERY:
            return ALL
        return now - claimed_at + OVERLAP

    def note_claim(self, lane: int, began: float, *, whole: bool) -> None:
        """A claim that began then has left no due retry; `whole`: it has searched the whole lane."""
        _, whole_at = self.lanes.get(lane, (0.0, began))
        self.lanes[lane] = began, began if whole else whole_at

    def forget(self, lanes: Iterable[int] | None = None) -> None:
        """Search these lanes from the first retry again; all lanes if None."""
        if lanes is None:
            self.lanes.clear()
            return
        for lane in lanes:
            self.lanes.pop(lane, None)
