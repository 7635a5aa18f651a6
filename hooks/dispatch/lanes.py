"""Decides which hook is sent next: the dispatcher's lanes in memory, their claimed hooks, and the limits in flight.

An ordered lane sends one first attempt at a time. Neither a retry nor a late response holds it: a retry is sent beside
the lane, one at a time, and an attempt without a response after LATE_SECONDS continues to its deadline while the next
hook is sent. A parallel lane sends both kinds in turn, up to its width. A strict lane (strictOrder) sends one hook at a
time, of either kind, and waits for every response; it is claimed again when it is empty (strict_order.py).
"""

from __future__ import annotations

import heapq
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count
from operator import attrgetter

from django.conf import settings

from hooks.dispatch.attempts import ClaimedHook

ORDERED_WIDTH = 1
PARALLEL_WIDTH = 16
LATE_SECONDS = 2.0  # without a response; then the attempt no longer holds its lane
# First attempts of an ordered lane in flight, late ones included. One more is allowed if the endpoint has responded in
# time within the length of a deadline: a bot that never responds to the hooks of its own messages leaves one late
# attempt per LATE_SECONDS, which is five by the deadline, and the sixth hook would wait for the first to end.
MAX_WITH_LATE = 4
RESPONSIVE_SECONDS = settings.HOOKS_DEADLINE_MS / 1000
BUFFER_SECONDS = 0.5  # a lane buffers about as many claimed hooks as it sends in this time
MAX_BUFFER = 200  # hooks per lane
MAX_BUFFER_BYTES = (
    4 * 1024 * 1024
)  # of bodies per lane: a vCard with a photo has 1 MB, 200 of them would be 200 MB
IDLE_SECONDS = 5.0  # after this without a hook a lane is released


class Lane:
    """One lane: its claimed hooks that wait, how many are in flight, and how fast its endpoint responds."""

    __slots__ = (
        "average_bytes", "average_seconds", "buffer", "endpoint_id", "in_flight", "is_ready", "is_watched", "last_used",
        "late", "parallel", "responded_at", "retries", "retry", "retry_seconds", "started", "strict", "turn",
        "turn_started", "unrecorded", "width",
    )  # fmt: skip

    def __init__(self, endpoint_id: int) -> None:
        self.endpoint_id = endpoint_id
        self.buffer: deque[ClaimedHook] = deque()  # first attempts; of a parallel or strict lane also retries
        self.in_flight = 0  # without `retry`
        self.parallel = False
        self.strict = False
        self.width = ORDERED_WIDTH  # the most in flight, without late ones
        self.average_seconds = 0.0  # of an attempt, smoothed; 0.0: not known yet
        self.average_bytes = 0.0  # of a body, smoothed
        # of an ordered lane:
        self.retries: deque[ClaimedHook] = deque()
        self.retry: ClaimedHook | None = None  # in flight, beside the lane
        self.retry_seconds = 0.0  # like average_seconds
        self.turn: ClaimedHook | None = None  # in flight and not late: the next hook waits for it
        self.turn_started = 0.0  # by time.monotonic()
        self.late: set[int] = set()  # the ids of those in flight that no longer hold the lane
        self.responded_at = 0.0  # the last response in time
        self.is_watched = False  # is it in Lanes.watched?
        self.is_ready = False  # is it in Lanes.ready?
        self.started = 0  # the id of the last first attempt that was started
        self.unrecorded = 0  # finished attempts whose results the database does not have yet
        self.last_used = time.monotonic()

    def buffer_target(self) -> int:
        """Returns how many hooks to buffer: for the free places in flight, and for the next half second."""
        free = max(self.width - self.in_flight, 0)
        if not self.average_seconds:
            return free + 1
        target = max(free, 1, min(int(self.width * BUFFER_SECONDS / self.average_seconds), MAX_BUFFER))
        return min(target, self.most_by_size())

    def retry_target(self) -> int:
        """Returns how many retries of an ordered lane to buffer."""
        if not self.retry_seconds:
            return 1
        return max(1, min(int(BUFFER_SECONDS / self.retry_seconds), MAX_BUFFER, self.most_by_size()))

    def most_by_size(self) -> int:
        """Returns how many hooks of the average size MAX_BUFFER_BYTES hold; at least one."""
        return max(int(MAX_BUFFER_BYTES / self.average_bytes), 1) if self.average_bytes else MAX_BUFFER

    def adapt(self, seconds: float, in_time: bool) -> None:
        """Adapt to a finished attempt: a timeout halves how many may be in flight, down to one."""
        self.average_seconds = smoothed(self.average_seconds, seconds)
        if seconds < LATE_SECONDS:
            self.responded_at = time.monotonic()
        if not in_time:
            self.width = max(self.width // 2, 1)
        elif self.parallel and self.width < PARALLEL_WIDTH:
            self.width += 1

    def adapt_retries(self, seconds: float) -> None:
        """Adapt to a finished retry that was sent beside the lane."""
        self.retry_seconds = smoothed(self.retry_seconds, seconds)


def smoothed(average: float, seconds: float) -> float:
    return 0.8 * average + 0.2 * seconds if average else seconds


class Lanes:
    """All lanes of one dispatcher.

    At most `max_in_flight` requests run at once, and at most half of them are retries: many dead endpoints, each with
    retries due, leave room for the first attempts of the others. Late attempts free their lanes only while less than
    half of `max_in_flight` runs, for the same reason.
    """

    def __init__(self, max_in_flight: int) -> None:
        self.max_in_flight = max_in_flight
        self.max_retries_in_flight = max_in_flight // 2
        self.lanes: dict[int, Lane] = {}
        self.ready: deque[Lane] = deque()  # lanes with a hook to send and room for it, in turn
        self.watched: list[tuple[float, int, Lane]] = []  # a heap: when a lane's attempt becomes late
        self.serial = count()
        self.in_flight = 0
        self.retries_in_flight = 0
        self.buffered = 0
        self.buffered_retries = 0

    def add(self, hooks: list[ClaimedHook]) -> None:
        """Buffer newly claimed hooks, sorted by id; a parallel lane's retries and first attempts alternate."""
        by_lane: dict[int, tuple[list[ClaimedHook], list[ClaimedHook]]] = {}
        for hook in hooks:
            by_lane.setdefault(hook.endpoint_id, ([], []))[0 if hook.is_retry else 1].append(hook)
        for endpoint_id, (retries, firsts) in by_lane.items():
            lane = self.lanes.get(endpoint_id) or self.lanes.setdefault(endpoint_id, Lane(endpoint_id))
            parallel, strict = (retries or firsts)[0].parallel, (retries or firsts)[0].strict
            if (parallel, strict) != (lane.parallel, lane.strict):
                lane.parallel, lane.strict = parallel, strict
                lane.width = PARALLEL_WIDTH if parallel else ORDERED_WIDTH
                lane.buffer.extend(lane.retries)
                lane.retries.clear()
            if strict:
                lane.buffer = deque(sorted([*lane.buffer, *retries, *firsts], key=attrgetter("id")))
            elif parallel:
                for place in range(max(len(retries), len(firsts))):
                    lane.buffer.extend(kind[place] for kind in (retries, firsts) if place < len(kind))
            else:
                lane.buffer.extend(firsts)
                lane.retries.extend(retries)
            claimed = len(retries) + len(firsts)
            size = sum(len(hook.body) for kind in (retries, firsts) for hook in kind)
            lane.average_bytes = smoothed(lane.average_bytes, size / claimed)
            self.buffered += claimed
            self.buffered_retries += len(retries)
            self.make_ready(lane)

    def make_ready(self, lane: Lane) -> None:
        """Queue the lane for sending if it has a hook and room; watch the attempt that holds it if not."""
        if lane.is_ready:
            return
        if (lane.buffer and self.has_room(lane)) or (lane.retries and lane.retry is None):
            lane.is_ready = True
            self.ready.append(lane)
        elif lane.buffer and lane.turn is not None and not lane.is_watched:
            lane.is_watched = True
            heapq.heappush(self.watched, (lane.turn_started + LATE_SECONDS, next(self.serial), lane))

    def has_room(self, lane: Lane) -> bool:
        """Returns whether the lane may send its next hook, retries beside it apart."""
        if lane.in_flight - len(lane.late) >= lane.width:
            return False
        if not lane.late:
            return True
        is_responsive = time.monotonic() - lane.responded_at < RESPONSIVE_SECONDS
        most = max(lane.width, MAX_WITH_LATE + is_responsive)
        return lane.in_flight < most and self.in_flight < self.max_in_flight // 2

    @property
    def next_late(self) -> float | None:
        """Returns when release_late() is due, by time.monotonic(); None if no lane is held by an attempt."""
        return self.watched[0][0] if self.watched else None

    def release_late(self) -> None:
        """Let the lanes whose attempt has become late send their next hook.

        Call it after the finished attempts were collected: an attempt whose response has arrived is not late.
        """
        now = time.monotonic()
        while self.watched and self.watched[0][0] <= now:
            _, _, lane = heapq.heappop(self.watched)
            lane.is_watched = False
            if lane.turn is not None and lane.turn_started + LATE_SECONDS <= now:
                lane.late.add(lane.turn.id)
                lane.turn = None
            self.make_ready(lane)

    def next_hooks(self, most: float = math.inf) -> Iterator[ClaimedHook]:
        """Yields the hooks to send now, from each lane in turn, up to `max_in_flight`, and at most `most` of them."""
        skipped: list[Lane] = []
        while self.ready and self.in_flight < self.max_in_flight and most > 0:
            lane = self.ready.popleft()
            lane.is_ready = False
            lane.last_used = time.monotonic()
            hook = (self.next_retry(lane) if lane.retries else None) or self.next_of_buffer(lane)
            if hook is None:  # it has only retries, and max_retries_in_flight is reached: try again next time
                skipped.append(lane)
                continue
            most -= 1
            self.in_flight += 1
            self.retries_in_flight += hook.is_retry
            self.buffered -= 1
            self.buffered_retries -= hook.is_retry
            self.make_ready(lane)
            yield hook
        for lane in skipped:
            self.make_ready(lane)

    def next_of_buffer(self, lane: Lane) -> ClaimedHook | None:
        """Removes and returns the lane's next hook, if it has one and room for it."""
        if not lane.buffer or not self.has_room(lane):
            return None
        hook = self.pop(lane)
        if hook is not None:
            lane.in_flight += 1
            if not lane.parallel and not lane.strict:
                lane.turn, lane.turn_started = hook, lane.last_used
        return hook

    def next_retry(self, lane: Lane) -> ClaimedHook | None:
        """Removes and returns the next retry to send beside the lane, if none is in flight."""
        if not lane.retries or lane.retry is not None or self.retries_in_flight >= self.max_retries_in_flight:
            return None
        lane.retry = lane.retries.popleft()
        return lane.retry

    def pop(self, lane: Lane) -> ClaimedHook | None:
        """Removes and returns the first hook of the buffer that may be sent: any, or the first attempts only."""
        if self.retries_in_flight < self.max_retries_in_flight or not lane.buffer[0].is_retry:
            return lane.buffer.popleft()
        if lane.strict:
            return None
        for place, hook in enumerate(lane.buffer):
            if not hook.is_retry:
                del lane.buffer[place]
                return hook
        return None

    def finish(self, hook: ClaimedHook) -> Lane:
        """End an attempt, made or not, so that its lane can send the next hook; returns the lane."""
        lane = self.lanes[hook.endpoint_id]
        if lane.retry is hook:
            lane.retry = None
        else:
            lane.in_flight -= 1
            lane.late.discard(hook.id)
            if lane.turn is hook:
                lane.turn = None
        self.in_flight -= 1
        self.retries_in_flight -= hook.is_retry
        lane.last_used = time.monotonic()
        self.make_ready(lane)
        return lane

    def hooks_to_claim(self, endpoint_id: int) -> int:
        """Returns how many more hooks of a lane to claim now; 0 while at least half of its target is buffered.

        First attempts, or in a parallel or strict lane hooks of both kinds. A strict lane must be empty.
        """
        lane = self.lanes.get(endpoint_id)
        if lane is None:
            return ORDERED_WIDTH + 1
        if lane.strict and not self.is_empty(endpoint_id):
            return 0
        return missing(lane.buffer_target(), len(lane.buffer))

    def retries_of_lane_to_claim(self, endpoint_id: int) -> int:
        """Returns how many more retries of a lane to claim now, like hooks_to_claim()."""
        lane = self.lanes.get(endpoint_id)
        if lane is None or lane.parallel or lane.strict:
            return self.hooks_to_claim(endpoint_id)
        return missing(lane.retry_target(), len(lane.retries))

    def is_empty(self, endpoint_id: int) -> bool:
        """Returns whether a lane has no hook: neither buffered, nor in flight, nor one whose result is not recorded."""
        lane = self.lanes.get(endpoint_id)
        return lane is None or not (
            lane.buffer or lane.in_flight or lane.retries or lane.retry or lane.unrecorded
        )

    def note_started(self, hook: ClaimedHook) -> Lane:
        """Note that a request of this hook starts; returns its lane."""
        lane = self.lanes[hook.endpoint_id]
        if not hook.is_retry:
            lane.started = max(lane.started, hook.id)
        return lane

    def note_recorded(self, hooks: Iterable[ClaimedHook]) -> None:
        """The results of these hooks are in the database."""
        for hook in hooks:
            self.lanes[hook.endpoint_id].unrecorded -= 1

    def last_started(self) -> dict[int, int]:
        """Returns for each lane the id of the last first attempt that was started."""
        return {lane.endpoint_id: lane.started for lane in self.lanes.values() if lane.started}

    def retries_to_claim(self) -> int:
        """Returns how many more retries of all lanes to claim now.

        No more than may be in flight: the retries of many dead endpoints would fill the room for first attempts.
        """
        return max(self.max_retries_in_flight - self.retries_in_flight - self.buffered_retries, 0)

    def empty_buffer(self, lane: Lane) -> list[ClaimedHook]:
        """Removes and returns a lane's claimed hooks that are not in flight."""
        hooks = [*lane.buffer, *lane.retries]
        lane.buffer.clear()
        lane.retries.clear()
        self.buffered -= len(hooks)
        self.buffered_retries -= sum(hook.is_retry for hook in hooks)
        return hooks

    def empty_buffers(self) -> list[ClaimedHook]:
        return [hook for lane in self.lanes.values() for hook in self.empty_buffer(lane)]

    def forget_idle(self) -> list[int]:
        """Forgets the lanes without a hook for IDLE_SECONDS; returns them."""
        before = time.monotonic() - IDLE_SECONDS
        return self.forget_empty(before)

    def forget_empty(self, used_before: float = math.inf) -> list[int]:
        """Forgets the lanes without a hook that were last used before this time; returns them."""
        empty = [
            lane.endpoint_id
            for lane in self.lanes.values()
            if lane.last_used < used_before and self.is_empty(lane.endpoint_id)
        ]
        for endpoint_id in empty:
            del self.lanes[endpoint_id]
        return empty


def missing(target: int, buffered: int) -> int:
    return target - buffered if buffered * 2 <= target else 0
