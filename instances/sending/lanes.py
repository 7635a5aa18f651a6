"""What may be sent now: a lane per instance, in order per chat, within the messenger's limits. Without I/O.

Of each chat one message is in flight; the next one follows when it was sent or has failed. Messages of other chats do
not wait for it. All times are seconds of one monotonic clock.
"""

from __future__ import annotations

import bisect
import heapq
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from instances import chat_ids
from instances.channels.requests import Limits, Rate
from instances.sending.back_off import Breaker
from instances.sending.rate_window import RateWindow

FIRST_IN_FLIGHT = 2  # requests of a lane whose messenger has not responded yet; each response allows one more
LOCAL_TURN = (
    100  # messages of a lane in this process, which are recorded together: a transaction costs as much as ten
)


@dataclass(slots=True)
class Waiting:
    """A message of the queue: its key, its queue number, its chat, and when it may be sent (0.0: now)."""

    key: int
    number: int
    chat_id: str
    due: float = 0.0


class Lane:
    """The messages of one instance that are known, and when they may be sent."""

    def __init__(self, key: int, limits: Limits, *, send_delay: float = 0.0, is_local: bool = False) -> None:
        self.key = key
        self.limits = limits
        self.send_delay = send_delay
        # Carried out in this process: a turn of messages at once, also of one chat, which are recorded in this order.
        # The next turn starts when all of them have ended.
        self.is_local = is_local
        self.not_before = 0.0  # nothing is sent before: sendDelay, or the messenger has asked for it
        self.is_held = False  # results can't be recorded at the moment: nothing is started
        self.is_leaving = False  # another sender is to own the queue: nothing is started
        self.breaker = Breaker()
        self.in_flight: dict[int, Waiting] = {}
        self.unrecorded: set[int] = (
            set()
        )  # messages that have ended, whose results are not in the database yet
        self.last_number = 0  # the highest that is known
        # Whether all that wait up to that number are known, so that only higher ones have to be read.
        self.is_whole = False
        # How often a message was put back or became unknown: what was read before is out of date.
        self.revision = 0
        self.ended_up_to = (
            0  # no message with a number up to this will wait again: one that is resent gets a new one
        )
        self.allowed = min(FIRST_IN_FLIGHT, limits.in_flight)
        self.of_number = RateWindow(limits.per_number) if limits.per_number else None
        self.of_chats: dict[str, RateWindow] = {}
        self.chats: dict[str, deque[Waiting]] = {}  # in the order of the numbers; no empty ones
        self.busy: set[str] = set()  # chats with a message in flight
        # The other chats are each in one of two heaps: by the number of their first message, or by when it may be sent.
        self.ready: list[tuple[int, str]] = []
        self.later: list[tuple[float, int, str]] = []

    @property
    def is_empty(self) -> bool:
        return not (self.chats or self.in_flight or self.unrecorded)

    @property
    def is_quiet(self) -> bool:
        """Returns whether nothing is in flight or unrecorded."""
        return not (self.in_flight or self.unrecorded)

    def count(self) -> int:
        """Returns the number of messages that are in the queue in the database, as far as this lane knows."""
        return sum(map(len, self.chats.values())) + len(self.in_flight) + len(self.unrecorded)

    def add(self, found: Iterable[Waiting]) -> None:
        """Add messages with numbers that are higher than all known ones, in order."""
        for waiting in found:
            self.last_number = max(self.last_number, waiting.number)
            if waiting.chat_id in self.chats:
                self.chats[waiting.chat_id].append(waiting)
            else:
                self.chats[waiting.chat_id] = deque([waiting])
                if waiting.chat_id not in self.busy:
                    heapq.heappush(self.ready, (waiting.number, waiting.chat_id))

    def replace(self, found: Iterable[Waiting]) -> None:
        """Replace the messages that wait by these, which are all of the queue, in order."""
        self.chats.clear()
        self.ready.clear()
        self.later.clear()
        self.add(waiting for waiting in found if not self.has_started(waiting.key))

    def drop_waiting(self) -> None:
        """Forget the messages that wait: the queue is empty, or may not be sent now. It has to be read again."""
        if self.chats:
            self.replace([])
            self.note_missing()

    def note_missing(self) -> None:
        """A message that waits is not known here: until the queue was read again, no newer one may be added."""
        self.revision += 1
        self.is_whole = False

    def note_whole(self, first: int | None) -> None:
        """The whole queue was read, and this was its lowest number; None: it was empty.

        The next time it is read from there: the entries of sent messages stay in the index until vacuum removes them.
        With 50 000 of them, behind an old transaction, that takes 1 ms instead of 20 ms (measured).
        """
        self.ended_up_to = self.last_number if first is None else first - 1
        self.is_whole = True

    def has_started(self, key: int) -> bool:
        """Returns whether this message must not be started again, whatever its state in the database.

        PostgreSQL may have lost the state if it was killed: it is committed without waiting for the disk.
        """
        return key in self.in_flight or key in self.unrecorded

    def started(self) -> list[int]:
        """Returns the messages for which has_started() is true."""
        return [*self.in_flight, *self.unrecorded]

    def pick(self, now: float, room: int) -> list[Waiting]:
        """Start up to `room` messages that may be sent now; returns them. Each counts as in flight until it ends."""
        picked: list[Waiting] = []
        while self.later and self.later[0][0] <= now:
            _, number, chat_id = heapq.heappop(self.later)
            heapq.heappush(self.ready, (number, chat_id))
        if self.is_local:
            room = 0 if self.in_flight else min(room, LOCAL_TURN if self.breaker.is_closed else 1)
        while self.ready and len(picked) < room and self.ready_at(now) <= now:
            number, chat_id = heapq.heappop(self.ready)
            at = self.chat_ready_at(chat_id, now)
            if at > now:
                heapq.heappush(self.later, (at, number, chat_id))
                continue
            picked.append(self.start(chat_id, now))
        return picked

    def start(self, chat_id: str, now: float) -> Waiting:
        waiting = self.chats[chat_id].popleft()
        self.in_flight[waiting.key] = waiting
        if self.of_number:
            self.of_number.add(now)
        if window := self.window_of(chat_id):
            window.add(now)
        if self.send_delay:
            self.not_before = now + self.send_delay
        if not self.chats[chat_id]:
            del self.chats[chat_id]
        if not self.is_local:
            self.busy.add(chat_id)
        elif chat_id in self.chats:  # the recorder works in this order
            heapq.heappush(self.ready, (self.chats[chat_id][0].number, chat_id))
        return waiting

    def note_starts(self, starts: Mapping[str, Sequence[float]]) -> None:
        """Other runs have started messages at these times, by chat, "" for all. Windows that are known are kept."""
        for chat_id, times in starts.items():
            if not chat_id:
                window = self.of_number
            else:
                window = self.window_of(chat_id) if chat_id not in self.of_chats else None
            if window is not None and not window.starts:
                for at in sorted(times):
                    window.add(at)

    def window_of(self, chat_id: str) -> RateWindow | None:
        """Returns the window of a chat's rate; None if the messenger has no such limit."""
        window = self.of_chats.get(chat_id)
        if window is None and (rate := self.rate_of(chat_id)):
            window = self.of_chats[chat_id] = RateWindow(rate)
        return window

    def rate_of(self, chat_id: str) -> Rate | None:
        if self.limits.per_group and chat_ids.is_group(chat_id):
            return self.limits.per_group
        return self.limits.per_recipient

    def chat_ready_at(self, chat_id: str, now: float) -> float:
        due = max(self.chats[chat_id][0].due, now)
        if chat_id in self.of_chats:
            return max(due, self.of_chats[chat_id].ready_at(now))
        return due

    def ready_at(self, now: float) -> float:
        """Returns when the next message of any chat may be sent; infinity if something has to happen first."""
        if self.is_held or self.is_leaving:
            return float("inf")
        allowed = self.allowed if self.breaker.is_closed else 1
        if len(self.in_flight) >= allowed and not self.is_local:
            return float("inf")
        at = max(now, self.not_before, self.breaker.open_until)
        return max(at, self.of_number.ready_at(now)) if self.of_number else at

    def next_start(self, now: float) -> float:
        """Returns when pick() may return more; infinity if never without an event."""
        if self.is_local and self.in_flight:
            return float("inf")
        if self.ready:
            return self.ready_at(now)
        return max(self.later[0][0], self.ready_at(now)) if self.later else float("inf")

    def end(self, key: int) -> Waiting | None:
        """The message was sent, has failed, or is gone: the next one of its chat may follow."""
        waiting = self.in_flight.pop(key, None)
        if waiting is not None:
            self.free_chat(waiting.chat_id)
        return waiting

    def put_back(self, key: int, due: float = 0.0) -> None:
        """The message in flight is sent again, not before `due`, and before the others of its chat."""
        waiting = self.in_flight.pop(key, None)
        if waiting is None:
            return
        self.revision += 1
        waiting.due = due
        queue = self.chats.setdefault(waiting.chat_id, deque())
        bisect.insort(queue, waiting, key=lambda each: each.number)
        if self.is_local:  # the chat may be in a heap, by the number of another message
            self.rebuild()
        else:
            self.free_chat(waiting.chat_id)

    def free_chat(self, chat_id: str) -> None:
        if chat_id in self.busy:
            self.busy.discard(chat_id)
            if chat_id in self.chats:
                heapq.heappush(self.ready, (self.chats[chat_id][0].number, chat_id))

    def rebuild(self) -> None:
        self.ready = [(queue[0].number, chat) for chat, queue in self.chats.items() if chat not in self.busy]
        heapq.heapify(self.ready)
        self.later.clear()

    def become_local(self) -> None:
        """The channel works in this process: its messages need not be sent one by one."""
        self.is_local = True
        self.busy.clear()
        self.rebuild()

    def note_response(self) -> None:
        """The messenger responds: allow one more request at once, up to its limit."""
        if not self.is_local:
            self.allowed = min(self.allowed + 1, self.limits.in_flight)

    def note_timeout(self) -> None:
        """The messenger is late: halve the requests at once."""
        if not self.is_local:
            self.allowed = max(self.allowed // 2, 1)

    def forget_idle_windows(self, now: float) -> None:
        """Free the memory of chats whose limit has ended."""
        for chat_id in [chat_id for chat_id, window in self.of_chats.items() if window.is_idle(now)]:
            del self.of_chats[chat_id]


class Lanes:
    """The lanes of a sender; they take turns."""

    def __init__(self, max_in_flight: int) -> None:
        self.max_in_flight = max_in_flight
        self.in_flight = 0
        self.lanes: dict[int, Lane] = {}
        self.turns: dict[int, None] = {}  # lanes that may have a message to start; a dict keeps their order
        self.timers: list[tuple[float, int]] = []  # when other lanes may have one

    def __contains__(self, key: int) -> bool:
        return key in self.lanes

    def get(self, key: int) -> Lane | None:
        return self.lanes.get(key)

    def insert(self, lane: Lane) -> None:
        self.lanes[lane.key] = lane
        self.turns[lane.key] = None

    def changed(self, lane: Lane) -> None:
        """The lane may have a message to start."""
        self.turns[lane.key] = None

    def forget(self, key: int) -> None:
        """Forget a lane with its messages. Those in flight end later."""
        if (lane := self.lanes.pop(key, None)) is not None:
            self.in_flight -= len(lane.in_flight)

    def pick(self, now: float) -> list[tuple[Lane, Waiting]]:
        """Start messages up to max_in_flight, a few of each lane at a time; returns them."""
        while self.timers and self.timers[0][0] <= now:
            _, key = heapq.heappop(self.timers)
            if key in self.lanes:
                self.turns[key] = None
        picked: list[tuple[Lane, Waiting]] = []
        while self.turns and self.in_flight < self.max_in_flight:
            key = next(iter(self.turns))
            del self.turns[key]
            lane = self.lanes.get(key)
            if lane is None:
                continue
            room = self.max_in_flight - self.in_flight
            started = lane.pick(now, min(room, LOCAL_TURN if lane.is_local else 1))
            self.in_flight += len(started)
            picked += [(lane, waiting) for waiting in started]
            at = lane.next_start(now)
            if at <= now:
                self.turns[key] = None
            elif at != float("inf"):
                heapq.heappush(self.timers, (at, key))
        return picked

    def end(self, lane: Lane, key: int) -> None:
        if lane.end(key) is not None:
            self.note_ended(lane)

    def put_back(self, lane: Lane, key: int, due: float = 0.0) -> None:
        if key in lane.in_flight:
            lane.put_back(key, due)
            self.note_ended(lane)

    def note_ended(self, lane: Lane) -> None:
        if self.lanes.get(lane.key) is lane:  # else forget() has subtracted it
            self.in_flight -= 1
            self.changed(lane)

    @property
    def next_timer(self) -> float | None:
        return self.timers[0][0] if self.timers else None

    def empty(self) -> list[int]:
        """Returns the lanes without any message."""
        return [key for key, lane in self.lanes.items() if lane.is_empty]
