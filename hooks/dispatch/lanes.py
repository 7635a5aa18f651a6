"""Decides which hook is sent next: the dispatcher's lanes in memory, their claimed hooks, and the limits in flight."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from hooks.dispatch.attempts import ClaimedHook

ORDERED_WIDTH = 1
PARALLEL_WIDTH = 16
BUFFER_SECONDS = 0.5  # a lane buffers about as many claimed hooks as it sends in this time
MAX_BUFFER = 200  # hooks per lane
IDLE_SECONDS = 5.0  # after this without a hook a lane is released


class Lane:
    """One lane: its claimed hooks that wait, how many are in flight, and how fast its endpoint responds."""

    __slots__ = (
        "average_seconds", "buffer", "endpoint_id", "in_flight", "is_ready", "last_used", "parallel", "width",
    )  # fmt: skip

    def __init__(self, endpoint_id: int) -> None:
        self.endpoint_id = endpoint_id
        self.buffer: deque[ClaimedHook] = deque()
        self.in_flight = 0
        self.parallel = False
        self.width = ORDERED_WIDTH  # the most in flight
        self.average_seconds = 0.0  # of an attempt, smoothed; 0.0: not known yet
        self.is_ready = False  # is it in Lanes.ready?
        self.last_used = time.monotonic()

    def buffer_target(self) -> int:
        """Returns how many hooks to buffer: for the free places in flight, and for the next half second."""
        free = max(self.width - self.in_flight, 0)
        if not self.average_seconds:
            return free + 1
        return max(free, 1, min(int(self.width * BUFFER_SECONDS / self.average_seconds), MAX_BUFFER))

    def adapt(self, seconds: float, in_time: bool) -> None:
        """Adapt to a finished attempt: a timeout halves how many may be in flight, down to one."""
        self.average_seconds = (
            seconds if not self.average_seconds else 0.8 * self.average_seconds + 0.2 * seconds
        )
        if not in_time:
            self.width = max(self.width // 2, 1)
        elif self.parallel and self.width < PARALLEL_WIDTH:
            self.width += 1


class Lanes:
    """All lanes of one dispatcher.

    At most `max_in_flight` requests run at once, and at most half of them are retries: many dead endpoints, each with
    retries due, leave room for the first attempts of the others.
    """

    def __init__(self, max_in_flight: int) -> None:
        self.max_in_flight = max_in_flight
        self.max_retries_in_flight = max_in_flight // 2
        self.lanes: dict[int, Lane] = {}
        self.ready: deque[Lane] = deque()  # lanes with a hook to send and room for it, in turn
        self.in_flight = 0
        self.retries_in_flight = 0
        self.buffered = 0
        self.buffered_retries = 0

    def add(self, hooks: list[ClaimedHook]) -> None:
        """Buffer newly claimed hooks, sorted by id; a lane's retries and first attempts alternate."""
        by_lane: dict[int, tuple[list[ClaimedHook], list[ClaimedHook]]] = {}
        for hook in hooks:
            by_lane.setdefault(hook.endpoint_id, ([], []))[0 if hook.attempts_made else 1].append(hook)
        for endpoint_id, (retries, firsts) in by_lane.items():
            lane = self.lanes.get(endpoint_id) or self.lanes.setdefault(endpoint_id, Lane(endpoint_id))
            parallel = (retries or firsts)[0].parallel
            if parallel != lane.parallel:
                lane.parallel = parallel
                lane.width = PARALLEL_WIDTH if parallel else ORDERED_WIDTH
            for place in range(max(len(retries), len(firsts))):
                lane.buffer.extend(kind[place] for kind in (retries, firsts) if place < len(kind))
            self.buffered += len(retries) + len(firsts)
            self.buffered_retries += len(retries)
            self.make_ready(lane)

    def make_ready(self, lane: Lane) -> None:
        """Queue the lane for sending if it has a hook and room."""
        if not lane.is_ready and lane.buffer and lane.in_flight < lane.width:
            lane.is_ready = True
            self.ready.append(lane)

    def next_hooks(self) -> Iterator[ClaimedHook]:
        """Yields the hooks to send now, from each lane in turn, up to `max_in_flight`."""
        skipped: list[Lane] = []
        while self.ready and self.in_flight < self.max_in_flight:
            lane = self.ready.popleft()
            lane.is_ready = False
            if not lane.buffer or lane.in_flight >= lane.width:
                continue
            hook = self.pop(lane)
            if hook is None:  # it has only retries, and max_retries_in_flight is reached: try again next time
                skipped.append(lane)
                continue
            lane.in_flight += 1
            self.in_flight += 1
            self.retries_in_flight += hook.attempts_made > 0
            self.buffered -= 1
            self.buffered_retries -= hook.attempts_made > 0
            lane.last_used = time.monotonic()
            self.make_ready(lane)
            yield hook
        for lane in skipped:
            self.make_ready(lane)

    def pop(self, lane: Lane) -> ClaimedHook | None:
        """Removes and returns the lane's first hook that may be sent: any, or the first attempts only."""
        if self.retries_in_flight < self.max_retries_in_flight or not lane.buffer[0].attempts_made:
            return lane.buffer.popleft()
        for place, hook in enumerate(lane.buffer):
            if not hook.attempts_made:
                del lane.buffer[place]
                return hook
        return None

    def finish(self, hook: ClaimedHook) -> Lane:
        """End an attempt, made or not, so that its lane can send the next hook; returns the lane."""
        lane = self.lanes[hook.endpoint_id]
        lane.in_flight -= 1
        self.in_flight -= 1
        self.retries_in_flight -= hook.attempts_made > 0
        lane.last_used = time.monotonic()
        self.make_ready(lane)
        return lane

    def hooks_to_claim(self, endpoint_id: int) -> int:
        """Returns how many more hooks of a lane to claim now; 0 while at least half of its target is buffered."""
        lane = self.lanes.get(endpoint_id)
        if lane is None:
            return ORDERED_WIDTH + 1
        target = lane.buffer_target()
        buffered = len(lane.buffer)
        return target - buffered if buffered * 2 <= target else 0

    def is_empty(self, endpoint_id: int) -> bool:
        """Returns whether a lane has no hook, neither buffered nor in flight."""
        lane = self.lanes.get(endpoint_id)
        return lane is None or not (lane.buffer or lane.in_flight)

    def retries_to_claim(self) -> int:
        """Returns how many more retries of all lanes to claim now.

        No more than may be in flight: the retries of many dead endpoints would fill the room for first attempts.
        """
        return max(self.max_retries_in_flight - self.retries_in_flight - self.buffered_retries, 0)

    def empty_buffer(self, lane: Lane) -> list[ClaimedHook]:
        """Removes and returns a lane's claimed hooks that are not in flight."""
        hooks = list(lane.buffer)
        lane.buffer.clear()
        self.buffered -= len(hooks)
        self.buffered_retries -= sum(hook.attempts_made > 0 for hook in hooks)
        return hooks

    def empty_buffers(self) -> list[ClaimedHook]:
        return [hook for lane in self.lanes.values() for hook in self.empty_buffer(lane)]

    def forget_idle(self) -> list[int]:
        """Forgets the lanes without a hook for IDLE_SECONDS; returns them."""
        before = time.monotonic() - IDLE_SECONDS
        idle = [
            lane.endpoint_id
            for lane in self.lanes.values()
            if not lane.buffer and not lane.in_flight and lane.last_used < before
        ]
        for endpoint_id in idle:
            del self.lanes[endpoint_id]
        return idle
