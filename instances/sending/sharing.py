"""Shares the queues out evenly over the senders, as receivers share out instances (instances/receiving/ownership.py).

A sender owns free queues up to its share, and those of which it hears first. Of what it owns beyond its share, it
starts no more messages; as soon as a queue has none in flight, it is given up, and the other senders hear of it at
once. Without I/O; claims.py has the statements.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from instances.sending.lanes import Lanes

# For so long, a queue that was given up is left to the senders that hear of it at the same time. Then a sweep decides.
LEFT_SECONDS = 2.0


class Sharing:
    """The queues that this sender gives up. `share` is how many it may own; None: it is the only sender."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.leaving: set[int] = set()
        self.left: dict[int, float] = {}  # until when, by time.monotonic()

    def choose(self, own: Collection[int], share: int | None) -> None:
        """Choose which of these queues to give up: those without a message in flight first. Keeps what is within it."""
        surplus = 0 if share is None else max(len(own) - share, 0)
        chosen = sorted(own, key=lambda key: (key not in self.leaving, not self.lanes.lanes[key].is_quiet))
        leaving = set(chosen[:surplus])
        for key in leaving ^ self.leaving:
            if (lane := self.lanes.get(key)) is not None:
                lane.is_leaving = key in leaving
                self.lanes.changed(lane)
        self.leaving = leaving
        now = time.monotonic()
        self.left = {key: until for key, until in self.left.items() if until > now}

    def ready_to_leave(self) -> list[int]:
        """Returns the queues that can be given up now: nothing of them is in flight or unrecorded."""
        return [key for key in self.leaving if self.lanes.lanes[key].is_quiet]

    def note_left(self, keys: Collection[int]) -> None:
        """These queues are given up."""
        until = time.monotonic() + LEFT_SECONDS
        self.left.update(dict.fromkeys(keys, until))

    def is_left(self, key: int) -> bool:
        """Returns whether the queue was given up a moment ago, so that a notification of it is for other senders."""
        return self.left.get(key, 0.0) > time.monotonic()

    def forget(self, key: int) -> None:
        """The queue is not owned any more."""
        self.leaving.discard(key)
