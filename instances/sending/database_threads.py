"""The sender's database threads (hooks/dispatch/threads.py): one takes messages, one records results, one sweeps."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import OperationalError, connection, connections

from hooks import database_clock, worker_slots
from hooks.dispatch.threads import DatabaseThread, SweepingThread
from hooks.dispatch.wakeup_pipe import WakeupPipe
from hooks.metrics import Counts
from hooks.sql import bulk_insert
from instances.actions.sending.record import (
    QueueWait,
)
from instances.channels import channel_of
from instances.channels.requests import Link
from instances.models import Instance, Media, OutgoingMessage, SendState
from instances.sending import claims
from instances.sending.lanes import Waiting
from instances.sending.recent_starts import recent_starts
from instances.sending.recording import Batch, is_locked, record
from instances.sending.tries import Ended, unknown_try

log = logging.getLogger(__name__)

MAX_TRIED_AGAIN = 10  # locked instances, each second


@dataclass
class Read:
    """A queue as it was read: its instance and link, and its messages; with `is_whole`, all of them."""

    instance: Instance
    link: Link
    not_before: float  # by time.monotonic()
    is_whole: bool
    messages: list[Waiting] = field(default_factory=list)
    first: int | None = None  # the lowest number that was found, also of a message that is being sent
    # of other runs, by chat, "" for all chats (recent_starts.py): by time.monotonic()
    starts: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Swept:
    """The queues with messages that this sender owns or may own, and how many it may own (claims.find_share)."""

    began: float  # by time.monotonic()
    queues: list[claims.Queue]
    share: int | None


class Claimer(DatabaseThread):
    """Owns and reads queues, takes messages and sends the heartbeat, in the session with the sender's slot."""

    def __init__(self, worker_slot: worker_slots.WorkerSlot, wakeup: WakeupPipe, counts: Counts) -> None:
        super().__init__("claimer", wakeup)
        self.worker_slot = worker_slot
        self.counts = counts
        self.read: deque[Read] = deque()
        self.taken: deque[tuple[Sequence[tuple[int, int]], list[OutgoingMessage]]] = deque()
        self.lost_slot = False
        self.reconnected = False  # the sending thread resets it
        self.reconnected_at: float | None = None  # by time.monotonic()
        self.commit_asynchronously()

    def reconnect(self) -> None:
        self.lost_slot = not self.worker_slot.reacquire() or self.lost_slot
        self.reconnected, self.reconnected_at = True, time.monotonic()
        self.commit_asynchronously()

    def commit_asynchronously(self) -> None:
        """Commit without waiting for the disk or a standby: what a crash loses is owned, and taken, again."""
        self.worker_slot.session.execute("SET synchronous_commit = off")

    def own_queues(self, lanes: Sequence[int], started: Sequence[int]) -> None:
        """Own these queues as far as possible, and read them; the messages with the keys `started` are this run's."""

        def job() -> None:
            session, me = self.worker_slot.session, self.worker_slot.id
            instances = claims.instances_that_may_send(session, lanes)
            may_take_over = worker_slots.may_take_over(self.reconnected_at)
            owned = claims.own(session, me, instances, may_take_over=may_take_over)
            self.read_queues(
                {key: instances[key] for key in owned},
                dict.fromkeys(owned, 0),
                next_send_at=owned,
                recover_except=set(started),
                starts_of=owned,
            )

        self.submit(job)

    def read_again(self, ended: Mapping[int, int]) -> None:
        """Read whole queues, and their instances, as far as this sender still owns them.

        `ended` has the number up to which the messages of each queue are known to have ended.
        """

        def job() -> None:
            session = self.worker_slot.session
            owned = claims.still_owned(session, self.worker_slot.id, ended)
            instances = claims.instances_that_may_send(session, owned)
            self.read_queues(instances, {key: ended[key] for key in instances})

        self.submit(job)

    def read_new(self, known: Mapping[int, tuple[Instance, int]], young: Collection[int]) -> None:
        """Read the messages above a number of each queue.

        `young` are those queues in whose windows messages may count that another run has sent.
        """

        def job() -> None:
            self.read_queues(
                {key: instance for key, (instance, _) in known.items()},
                {key: number for key, (_, number) in known.items()},
                is_whole=False,
                starts_of=young,
            )

        self.submit(job)

    def read_queues(
        self,
        instances: Mapping[int, Instance],
        after: Mapping[int, int],
        *,
        is_whole: bool = True,
        next_send_at: Mapping[int, datetime] | None = None,
        recover_except: set[int] | None = None,
        starts_of: Collection[int] = (),
    ) -> None:
        found = {
            key: Read(
                instance,
                channel_of(instance).link(instance),
                monotonic(next_send_at[key]) if next_send_at and instance.send_delay else 0.0,
                is_whole,
            )
            for key, instance in instances.items()
        }
        if not found:
            return
        left: dict[int, bool] = {}
        for row in claims.waiting(self.worker_slot.session, after):
            if found[row.lane].first is None:
                found[row.lane].first = row.number
            if row.state == SendState.SENDING:
                if recover_except is None or row.key in recover_except:
                    continue  # in flight, or not recorded yet
                left[row.key] = not channel_of(instances[row.lane]).is_idempotent(found[row.lane].link)
            due = monotonic(row.next_try_at) if row.next_try_at else 0.0
            found[row.lane].messages.append(Waiting(row.key, row.number, row.chat_id, due))
            if row.last_try_at and row.lane in starts_of:
                for chat in (row.chat_id, ""):
                    found[row.lane].starts.setdefault(chat, []).append(monotonic(row.last_try_at))
        if left:
            recovered = claims.recover(self.worker_slot.session, left)
            log.warning("%s messages that a sender was sending when it ended are sent again", len(recovered))
            bulk_insert.insert([unknown_try(outgoing) for outgoing in recovered])
        self.add_starts({key: found[key] for key in starts_of if key in found}, with_number=is_whole)
        self.read.extend(found.values())

    def add_starts(self, found: Mapping[int, Read], *, with_number: bool) -> None:
        """Add when other runs have sent messages of these queues."""
        limits = {key: channel_of(read.instance).limits for key, read in found.items()}
        chats = {(key, waiting.chat_id) for key, read in found.items() for waiting in read.messages}
        stored = recent_starts(self.worker_slot.session, limits, chats, with_number=with_number)
        for (key, chat), starts in stored.items():
            found[key].starts.setdefault(chat, []).extend(starts)

    def take(self, wanted: Sequence[tuple[int, int]], paces: Mapping[int, int]) -> None:
        """Take messages, given as lane and key. `paces` are the sendDelays of their lanes."""
        keys = [key for _, key in wanted]

        def job() -> None:
            session = self.worker_slot.session
            taken = claims.take(session, self.worker_slot.id, [lane for lane, _ in wanted], keys)
            if paces:
                claims.pace(
                    session, {lane: paces[lane] for lane in {each.instance_id for each in taken} & set(paces)}
                )
            add_files(taken)
            self.taken.append((wanted, taken))

        self.submit(job)

    def hand_back(self, keys: Sequence[int]) -> None:
        self.submit(lambda: claims.hand_back(self.worker_slot.session, keys))

    def release(self, lanes: Sequence[int]) -> None:
        self.submit(lambda: claims.release(self.worker_slot.session, self.worker_slot.id, lanes))

    def give_up(self, lanes: Sequence[int]) -> None:
        self.submit(lambda: claims.give_up(self.worker_slot.session, self.worker_slot.id, lanes))

    def send_heartbeat(self, in_flight: int) -> None:
        def job() -> None:
            self.worker_slot.send_heartbeat(in_flight)
            self.counts.flush(self.worker_slot.session, self.worker_slot.slot)

        self.submit(job)

    def flush_counts(self) -> None:
        self.submit(lambda: self.counts.flush(self.worker_slot.session, self.worker_slot.slot))


def monotonic(at: datetime) -> float:
    """Returns a time of the database's clock by time.monotonic()."""
    return time.monotonic() + (at - database_clock.now()).total_seconds()


def add_files(taken: Sequence[OutgoingMessage]) -> None:
    """Load the files of messages. One query if there are any."""
    keys = {outgoing.media_id for outgoing in taken if outgoing.media_id}
    if keys:
        files = Media.objects.in_bulk(keys)
        for outgoing in taken:
            if outgoing.media_id:
                outgoing.media = files.get(outgoing.media_id)


class Sweeper(SweepingThread):
    """Finds the queues with messages, and this sender's share of them."""

    def __init__(self, me: int, wakeup: WakeupPipe) -> None:
        super().__init__(wakeup)
        self.me = me
        self.swept: deque[Swept] = deque()

    def sweep(self) -> None:
        began = time.monotonic()
        queues = claims.sweep(self.session, self.me, may_take_over=self.may_take_over)
        self.swept.append(Swept(began, queues, claims.find_share(self.session)))


class Recorder(DatabaseThread):
    """Writes results, in Django's session of this thread, because the actions use it.

    If another session has locked an instance, such as one that deletes a million of its messages, its results are put
    off, and tried again every second: the other instances do not wait. Meanwhile no more of its messages are started.
    """

    def __init__(self, wakeup: WakeupPipe) -> None:
        super().__init__("recorder", wakeup)
        self.recorded: deque[list[Ended]] = deque()
        self.held: deque[tuple[int, bool]] = deque()  # lanes that were put off (True), or are recorded again
        self.put_off: dict[int, Batch] = {}
        self.results_submitted = 0  # written by the sending thread only …
        self.results_written = 0  # … and these two by this thread only
        self.results_put_off = 0
        self.is_prepared = False

    @property
    def unwritten(self) -> int:
        return self.results_submitted - self.results_written - self.results_put_off

    def reconnect(self) -> None:
        connections.close_all()
        connection.ensure_connection()
        self.is_prepared = False

    def write(self, results: list[Ended], waits: dict[int, QueueWait]) -> None:
        self.results_submitted += len(results)
        batch = Batch(results, waits)
        self.submit(lambda: self.record(batch))

    def write_put_off(self) -> None:
        self.submit(self.record_put_off)

    def prepare(self) -> None:
        if self.is_prepared:
            return
        with connection.cursor() as cursor:
            # The statistics of an emptied queue say that reading the whole table is the fastest.
            cursor.execute("SET enable_seqscan = off")
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [claims.LOCK_TIMEOUT])
        self.is_prepared = True

    def record(self, batch: Batch) -> None:
        """Record a batch. Called again after an error: what was recorded or put off has left it."""
        self.prepare()
        if self.put_off:  # the order of an instance's results is that of its messages' numbers
            for key in [key for key in batch.instances() if key in self.put_off]:
                later = batch.take({key})
                self.put_off[key].add(later)
                self.results_put_off += len(later.results)
        if self.is_recorded(batch):
            return
        for key in batch.instances():
            of_one = batch.take({key})
            try:
                is_recorded = self.is_recorded(of_one)
            except BaseException:
                batch.add(of_one)
                raise
            if not is_recorded:
                log.warning("The instance with key %s is locked; its messages are recorded later", key)
                self.put_off[key] = of_one
                self.results_put_off += len(of_one.results)
                self.held.append((key, True))

    def record_put_off(self) -> None:
        """Try again to record what was put off, without waiting for locks for long."""
        self.prepare()
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [claims.SHORT_LOCK_TIMEOUT])
        self.is_prepared = False
        for key in list(self.put_off)[:MAX_TRIED_AGAIN]:
            of_one = self.put_off.pop(key)
            try:
                is_recorded = self.is_recorded(of_one)
            except BaseException:
                self.put_off[key] = of_one
                raise
            if is_recorded:
                self.results_put_off -= len(of_one.results)
                self.held.append((key, False))
            else:
                self.put_off[key] = of_one  # as the last one

    def is_recorded(self, batch: Batch) -> bool:
        """Record a batch; returns False, and records nothing, if an instance of it is locked."""
        try:
            record(batch.results, batch.waits)
        except OperationalError as error:
            if is_locked(error):
                return False
            raise
        self.results_written += len(batch.results)
        self.recorded.append(batch.results)
        return True
