"""Whose turn it is: the dispatcher's lanes in memory, their waiting hooks, and how many requests may run at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from hooks.dispatch.attempts import ClaimedHook

ORDERED_WIDTH = 1
PARALLEL_WIDTH = 16
HORIZON = 0.5  # s: a lane keeps about as many claimed hooks at hand as it sends in this time
MOST_AT_HAND = 200
IDLE = 5.0  # s after which a lane is given back


class Lane:
    """One lane: what is claimed and waits, how many are under way, how quick its endpoint is."""

    __slots__ = ("at_hand", "endpoint_id", "in_flight", "last_used", "pace", "parallel", "queued", "width")

    def __init__(self, endpoint_id: int) -> None:
        self.endpoint_id = endpoint_id
        self.at_hand: deque[ClaimedHook] = deque()
        self.in_flight = 0
        self.parallel = False
        self.width = ORDERED_WIDTH
        self.pace = 0.0  # s an attempt takes, smoothed; 0.0: not known yet
        self.queued = False  # does it stand in Lanes.ready?
        self.last_used = time.monotonic()

    def wanted(self) -> int:
        """How many hooks to have at hand: for the places that are free, and for the next half second."""
        free = max(self.width - self.in_flight, 0)
        if not self.pace:
            return free + 1
        return max(free, 1, min(int(self.width * HORIZON / self.pace), MOST_AT_HAND))

    def learn(self, seconds: float, in_time: bool) -> None:
        """After an attempt: an endpoint that lets attempts time out gets fewer at once, down to one."""
        self.pace = seconds if not self.pace else 0.8 * self.pace + 0.2 * seconds
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
        self.ready: deque[Lane] = deque()  # those with something to send and room for it, in turn
        self.in_flight = 0
        self.retries_in_flight = 0
        self.at_hand = 0
        self.retries_at_hand = 0

    def take(self, hooks: list[ClaimedHook]) -> None:
        """Newly claimed hooks, sorted by id: a lane's retries and first attempts take turns."""
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
                lane.at_hand.extend(kind[place] for kind in (retries, firsts) if place < len(kind))
            self.at_hand += len(retries) + len(firsts)
            self.retries_at_hand += len(retries)
            self.enqueue(lane)

    def enqueue(self, lane: Lane) -> None:
        if not lane.queued and lane.at_hand and lane.in_flight < lane.width:
            lane.queued = True
            self.ready.append(lane)

    def next_hooks(self) -> Iterator[ClaimedHook]:
        """Hooks to send now, lane by lane in turn, up to `max_in_flight`."""
        held: list[Lane] = []
        while self.ready and self.in_flight < self.max_in_flight:
            lane = self.ready.popleft()
            lane.queued = False
            if not lane.at_hand or lane.in_flight >= lane.width:
                continue
            hook = self.pick(lane)
            if hook is None:  # only retries wait here, and theirs are taken: next time round
                held.append(lane)
                continue
            lane.in_flight += 1
            self.in_flight += 1
            self.retries_in_flight += hook.attempts_made > 0
            self.at_hand -= 1
            self.retries_at_hand -= hook.attempts_made > 0
            lane.last_used = time.monotonic()
            self.enqueue(lane)
            yield hook
        for lane in held:
            self.enqueue(lane)

    def pick(self, lane: Lane) -> ClaimedHook | None:
        if self.retries_in_flight < self.max_retries_in_flight or not lane.at_hand[0].attempts_made:
            return lane.at_hand.popleft()
        for place, hook in enumerate(lane.at_hand):
            if not hook.attempts_made:
                del lane.at_hand[place]
                return hook
        return None

    def done(self, hook: ClaimedHook) -> Lane:
        """An attempt has ended, or was not made after all; its lane may have its next turn."""
        lane = self.lanes[hook.endpoint_id]
        lane.in_flight -= 1
        self.in_flight -= 1
        self.retries_in_flight -= hook.attempts_made > 0
        lane.last_used = time.monotonic()
        self.enqueue(lane)
        return lane

    def lacking(self, endpoint_id: int) -> int:
        """How many more hooks of a lane are worth claiming now; 0: it has enough."""
        lane = self.lanes.get(endpoint_id)
        if lane is None:
            return ORDERED_WIDTH + 1
        wanted = lane.wanted()
        have = len(lane.at_hand)
        return wanted - have if have * 2 <= wanted else 0

    def has_nothing(self, endpoint_id: int) -> bool:
        """Has a lane neither anything at hand nor anything under way?"""
        lane = self.lanes.get(endpoint_id)
        return lane is None or not (lane.at_hand or lane.in_flight)

    def lacking_retries(self) -> int:
        """How many more retries to claim, of all lanes together.

        No more than may be in flight: the retries of many dead endpoints would fill the room for first attempts.
        """
        return max(self.max_retries_in_flight - self.retries_in_flight - self.retries_at_hand, 0)

    def give_back(self, lane: Lane) -> list[ClaimedHook]:
        """Empty a lane: its hooks that were claimed and not begun."""
        hooks = list(lane.at_hand)
        lane.at_hand.clear()
        self.at_hand -= len(hooks)
        self.retries_at_hand -= sum(hook.attempts_made > 0 for hook in hooks)
        return hooks

    def give_back_all(self) -> list[ClaimedHook]:
        return [hook for lane in self.lanes.values() for hook in self.give_back(lane)]

    def idle(self) -> list[int]:
        """Lanes without anything for a while; they are forgotten here."""
        before = time.monotonic() - IDLE
        found = [
            lane.endpoint_id
            for lane in self.lanes.values()
            if not lane.at_hand and not lane.in_flight and lane.last_used < before
        ]
        for endpoint_id in found:
            del self.lanes[endpoint_id]
        return found
