"""The sender's database threads (hooks/dispatch/threads.py): one takes messages, the other records results."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection, connections

from hooks import database_clock, worker_slots
from hooks.dispatch.threads import DatabaseThread
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
from instances.sending.recording import record
from instances.sending.tries import Ended, unknown_try

log = logging.getLogger(__name__)


@dataclass
class Read:
    """A queue as it was read: its instance and link, and its messages above `after` (0: all)."""

    instance: Instance
    link: Link
    not_before: float  # by time.monotonic()
    after: int
    messages: list[Waiting] = field(default_factory=list)


class Claimer(DatabaseThread):
    """Owns and reads queues, takes messages, sweeps and sends the heartbeat, in the session with the sender's slot."""

    def __init__(self, worker_slot: worker_slots.WorkerSlot, wakeup: WakeupPipe, counts: Counts) -> None:
        super().__init__("claimer", wakeup)
        self.worker_slot = worker_slot
        self.counts = counts
        self.swept: deque[list[claims.Queue]] = deque()
        self.read: deque[Read] = deque()
        self.taken: deque[tuple[Sequence[tuple[int, int]], list[OutgoingMessage]]] = deque()
        self.lost_slot = False
        self.commit_asynchronously()

    def reconnect(self) -> None:
        self.lost_slot = not self.worker_slot.reacquire() or self.lost_slot
        self.commit_asynchronously()

    def commit_asynchronously(self) -> None:
        """Commit without waiting for the disk or a standby: what a crash loses is owned, and taken, again."""
        self.worker_slot.session.execute("SET synchronous_commit = off")

    def own_queues(self, lanes: Sequence[int], in_flight: Sequence[int]) -> None:
        """Own these queues as far as possible, and read them; the messages with the keys `in_flight` are this run's."""

        def job() -> None:
            session, me = self.worker_slot.session, self.worker_slot.id
            instances = claims.instances_that_may_send(session, lanes)
            owned = claims.own(session, me, instances)
            self.read_queues(
                {key: instances[key] for key in owned},
                dict.fromkeys(owned, 0),
                next_send_at=owned,
                recover_except=set(in_flight),
            )

        self.submit(job)

    def read_again(self, lanes: Sequence[int]) -> None:
        """Read whole queues, and their instances, as far as this sender still owns them."""

        def job() -> None:
            session = self.worker_slot.session
            owned = claims.still_owned(session, self.worker_slot.id, lanes)
            instances = claims.instances_that_may_send(session, owned)
            self.read_queues(instances, dict.fromkeys(instances, 0))

        self.submit(job)

    def read_new(self, known: Mapping[int, tuple[Instance, int]]) -> None:
        """Read the messages above a number of each queue."""

        def job() -> None:
            self.read_queues(
                {key: instance for key, (instance, _) in known.items()},
                {key: number for key, (_, number) in known.items()},
            )

        self.submit(job)

    def read_queues(
        self,
        instances: Mapping[int, Instance],
        after: Mapping[int, int],
        *,
        next_send_at: Mapping[int, datetime] | None = None,
        recover_except: set[int] | None = None,
    ) -> None:
        found = {
            key: Read(
                instance,
                channel_of(instance).link(instance),
                monotonic(next_send_at[key]) if next_send_at and instance.send_delay else 0.0,
                after[key],
            )
            for key, instance in instances.items()
        }
        if not found:
            return
        left: dict[int, bool] = {}
        for row in claims.waiting(self.worker_slot.session, after):
            if row.state == SendState.SENDING:
                if recover_except is None or row.key in recover_except:
                    continue  # in flight, or not recorded yet
                left[row.key] = not channel_of(instances[row.lane]).is_idempotent
            due = monotonic(row.next_try_at) if row.next_try_at else 0.0
            found[row.lane].messages.append(Waiting(row.key, row.number, row.chat_id, due))
        if left:
            recovered = claims.recover(self.worker_slot.session, left)
            log.warning("%s messages that a sender was sending when it ended are sent again", len(recovered))
            bulk_insert.insert([unknown_try(outgoing) for outgoing in recovered])
        self.read.extend(found.values())

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

    def heartbeat_and_sweep(self, in_flight: int) -> None:
        def job() -> None:
            session = self.worker_slot.session
            self.worker_slot.send_heartbeat(in_flight)
            self.counts.flush(session, self.worker_slot.slot)
            self.swept.append(claims.sweep(session, self.worker_slot.id))

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


class Recorder(DatabaseThread):
    """Writes results, in Django's session of this thread, because the actions use it."""

    def __init__(self, wakeup: WakeupPipe) -> None:
        super().__init__("recorder", wakeup)
        self.recorded: deque[list[Ended]] = deque()
        self.results_submitted = 0  # written by the sending thread only …
        self.results_written = 0  # … and by this thread only
        self.is_prepared = False

    @property
    def unwritten(self) -> int:
        return self.results_submitted - self.results_written

    def reconnect(self) -> None:
        connections.close_all()
        connection.ensure_connection()
        self.is_prepared = False

    def write(self, results: list[Ended], waits: Mapping[int, QueueWait]) -> None:
        self.results_submitted += len(results)

        def job() -> None:
            if not self.is_prepared:
                with connection.cursor() as cursor:
                    # The statistics of an emptied queue say that reading the whole table is the fastest.
                    cursor.execute("SET enable_seqscan = off")
                self.is_prepared = True
            record(results, waits)
            self.results_written += len(results)
            self.recorded.append(results)

        self.submit(job)
