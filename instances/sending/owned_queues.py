"""The queues that a sender owns, what is known of them, and which the claimer owns or reads next.

Sweeps, notifications and the messages' results say which; the claimer (database_threads.py) owns and reads them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from instances.channels import channel_of
from instances.sending.database_threads import Claimer, Read, Swept
from instances.sending.lanes import Lane, Lanes
from instances.sending.recent_starts import longest_window
from instances.sending.sharing import Sharing
from instances.sending.tries import OwnedQueue

MAX_OWN = 500  # queues that are owned, or read, at once
# between two readings of a queue's instance: sendDelay and credentials may have changed
READ_AGAIN_SECONDS = 5.0
IDLE_SECONDS = 5.0  # after this without a message a queue is released


class OwnedQueues:
    """The queues by their instances' keys, and what the claimer is to do with them and with others."""

    def __init__(self, lanes: Lanes, claimer: Claimer) -> None:
        self.lanes = lanes
        self.claimer = claimer
        self.sharing = Sharing(lanes)
        self.queues: dict[int, OwnedQueue] = {}
        self.to_own: dict[int, None] = {}  # a dict keeps the order
        self.to_read: dict[int, None] = {}  # queues with new messages …
        self.to_read_again: dict[int, None] = {}  # … and those that may differ from what is known
        # Of each queue that is read from its start: its lane's revision then, and where to put it if that has changed.
        self.asked: dict[int, tuple[int, dict[int, None]]] = {}
        self.empty_since: dict[int, float] = {}

    def note_notification(self, key: int) -> None:
        """There is a new message of this instance."""
        if key in self.queues:
            self.to_read[key] = None
        else:
            self.own_unless_left(key)

    def own_unless_left(self, key: int) -> None:
        if not self.sharing.is_left(key):
            self.to_own[key] = None

    def own_all_again(self) -> None:
        """Read all queues from their start, as if they were owned now."""
        self.to_own.update(dict.fromkeys(self.queues))

    def own_and_read(self) -> None:
        """Have the claimer own and read queues. It must be free."""
        if self.to_read:
            known = {}
            for key in self.to_read:
                queue = self.queues.get(key)
                if queue is None:  # released since the notification
                    self.own_unless_left(key)
                elif queue.lane.is_whole:
                    known[key] = queue
                else:  # the new message must not be sent before those that were dropped
                    self.to_read_again[key] = None
            self.to_read.clear()
            now = time.monotonic()
            if known:
                self.claimer.read_new(
                    {key: (queue.instance, queue.lane.last_number) for key, queue in known.items()},
                    {key for key, queue in known.items() if now < queue.young_until},
                )
        if self.to_read_again:
            keys = take_some(self.to_read_again)
            self.note_asked(keys, self.to_read_again)
            self.claimer.read_again(
                {key: self.queues[key].lane.ended_up_to for key in keys if key in self.queues}
            )
        if self.to_own:
            keys = take_some(self.to_own)
            self.note_asked(keys, self.to_own)
            started = [
                key for lane in keys if lane in self.queues for key in self.queues[lane].lane.started()
            ]
            self.claimer.own_queues(keys, started)

    def note_asked(self, keys: Sequence[int], source: dict[int, None]) -> None:
        """These queues are read from their start; `source` is where they came from."""
        self.asked.update(
            {key: (self.queues[key].lane.revision, source) for key in keys if key in self.queues}
        )

    def is_outdated(self, read: Read) -> bool:
        """Returns whether a message may be missing in this whole queue, which is then read again.

        One that was put back meanwhile may have been read as being sent: the next one of its chat would be sent first.
        """
        asked = self.asked.get(read.instance.pk)
        if asked is None or asked[0] == self.queues[read.instance.pk].lane.revision:
            return False
        asked[1][read.instance.pk] = None
        return True

    def add_read(self, read: Read, *, stopping: bool = False) -> None:
        """Take over a queue that was read, or what is new in it."""
        key, now = read.instance.pk, time.monotonic()
        queue = self.queues.get(key)
        channel = channel_of(read.instance)
        if queue is None:
            if stopping or not read.is_whole:  # new messages are read of queues that it owns
                return
            lane = Lane(key, channel.limits, send_delay=read.instance.send_delay)
            young_until = now + longest_window(channel.limits)
            queue = self.queues[key] = OwnedQueue(lane, read.instance, channel, read.link, now, young_until)
            self.lanes.insert(lane)
        queue.instance, queue.channel, queue.link, queue.read_at = read.instance, channel, read.link, now
        lane = queue.lane
        lane.send_delay = read.instance.send_delay
        lane.not_before = max(lane.not_before, read.not_before)
        lane.note_starts(read.starts)
        if not read.is_whole and lane.is_whole:
            lane.add([waiting for waiting in read.messages if waiting.number > lane.last_number])
        elif not read.is_whole:  # messages were dropped while these were read, which must not be sent before
            self.to_read_again[key] = None
        elif not self.is_outdated(read):
            lane.replace(read.messages)
            lane.note_whole(read.first)
        self.lanes.changed(lane)

    def compare(self, swept: Swept) -> None:
        """Own queues that are free, read again those that differ, and empty those that may not be sent any more.

        With a share, own no more than these, and give up what is beyond it. What has changed since the sweep began is
        left to the next one.
        """
        found, share, now = swept.queues, swept.share, time.monotonic()
        rest = dict.fromkeys(self.queues)
        own = [row.lane for row in found if row.is_own and row.lane in self.queues]
        room = len(found) if share is None else share - len(own)
        for row in found:
            queue = self.queues.get(row.lane)
            if queue is None or not row.is_own:
                if (room > 0 or row.is_own) and not self.sharing.is_left(row.lane):
                    self.to_own[row.lane] = None
                    room -= 1
                rest.pop(row.lane, None)
                continue
            del rest[row.lane]
            queue.lane.send_delay = row.send_delay
            if row.length != queue.lane.count() or now - queue.read_at > READ_AGAIN_SECONDS:
                self.to_read_again[row.lane] = None
        for key in rest:  # empty, another sender's, or of an instance that is not connected
            if self.queues[key].read_at < swept.began:
                self.queues[key].lane.drop_waiting()
        idle = []
        for key, queue in self.queues.items():
            queue.lane.forget_idle_windows(now)
            if not queue.lane.is_empty:
                self.empty_since.pop(key, None)
            elif now - self.empty_since.setdefault(key, now) > IDLE_SECONDS:
                idle.append(key)
        if idle:
            self.forget(idle)
            self.claimer.release(idle)
        self.sharing.choose([key for key in own if key in self.queues], share)

    def give_up_leaving(self) -> None:
        """Give up the queues beyond the share that have nothing in flight."""
        if not (ready := self.sharing.ready_to_leave()):
            return
        self.forget(ready)
        self.sharing.note_left(ready)
        self.claimer.give_up(ready)

    def forget(self, keys: Sequence[int]) -> None:
        for key in keys:
            del self.queues[key]
            self.lanes.forget(key)
            self.sharing.forget(key)
            self.asked.pop(key, None)
            self.empty_since.pop(key, None)

    @property
    def has_work(self) -> bool:
        """Returns whether a queue is to be owned or read."""
        return bool(self.to_read or self.to_own or self.to_read_again)


def take_some(keys: dict[int, None]) -> list[int]:
    """Remove and return the first MAX_OWN keys."""
    some = list(keys)[:MAX_OWN]
    for key in some:
        del keys[key]
    return some
