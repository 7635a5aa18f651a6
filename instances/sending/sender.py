"""The sender's loop: own queues, take messages, make requests to messengers, record the results.

One thread runs all transfers, as that of the dispatcher (hooks/dispatch/transfers.py); the database is left to the
threads of database_threads.py. lanes.py decides what is sent next, owned_queues.py what is owned and read,
messenger_requests.py makes the requests, and results.py knows what their ends mean.
"""

from __future__ import annotations

import contextlib
import logging
import select
import time
from collections.abc import Callable, Sequence

from hooks import worker_slots
from hooks.dispatch.process_limits import max_in_flight, save_memory
from hooks.dispatch.threads import Listener
from hooks.dispatch.transfers import Transfers
from hooks.dispatch.wakeup_pipe import WakeupPipe
from hooks.metrics import Counts
from instances.actions.sending.accept import OUTGOING_CHANNEL
from instances.channels.queued_messages import message_to_send
from instances.channels.sandbox.actions.receipts import CHANNEL_WORK
from instances.models import OutgoingMessage
from instances.sending.channel_work import ChannelWork
from instances.sending.database_threads import Claimer, Recorder, Sweeper
from instances.sending.lanes import Lanes
from instances.sending.messenger_requests import DEADLINE, Requests
from instances.sending.owned_queues import OwnedQueues
from instances.sending.results import TRY_AGAIN_SECONDS, Results
from instances.sending.tries import Sending

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0  # between two heartbeats
DRAIN_SECONDS = DEADLINE + 0.5  # a stop waits this long for requests in flight


class Sender:
    """One run of the loop."""

    def __init__(
        self,
        worker_slot: worker_slots.WorkerSlot,
        stop_fd: int | None,
        request_successor: Callable[[], object],
    ) -> None:
        self.worker_slot = worker_slot
        self.request_successor = request_successor
        self.stop_fd = stop_fd
        self.stopping = False
        self.handing_over = False
        self.released = False  # while stopping: is the slot free for a successor?
        self.drain_ends = 0.0
        self.wakeup = WakeupPipe()
        self.counts = Counts()
        self.claimer = Claimer(worker_slot, self.wakeup, self.counts)
        self.recorder = Recorder(self.wakeup)
        self.sweeper = Sweeper(worker_slot.id, self.wakeup)
        self.listener = Listener(OUTGOING_CHANNEL, self.wakeup)
        self.listening: int | None = None  # the listener's session in the epoll
        # of one sender only: the commands and acks of all instances
        self.channel_work = ChannelWork() if worker_slot.slot in (0, worker_slots.EXTRA_SLOTS) else None
        self.lanes = Lanes(max_in_flight())
        self.owned = OwnedQueues(self.lanes, self.claimer)
        self.picked: list[tuple[int, int]] = []  # lane and key of messages to take
        self.results = Results(self.owned, self.lanes, self.recorder, self.counts)
        self.next_heartbeat = 0.0  # by time.monotonic()
        self.transfers = Transfers(self.lanes.max_in_flight)
        self.requests = Requests(self.transfers, self.results)
        self.transfers.epoll.register(self.wakeup.fd, select.EPOLLIN)
        if stop_fd is not None:
            self.transfers.epoll.register(stop_fd, select.EPOLLIN)

    def run(self) -> bool:
        """Run until a stop or a hand-over, then finish and record what is in flight; returns whether it handed over."""
        for thread in (self.claimer, self.recorder, self.sweeper, self.listener, self.channel_work):
            if thread is not None:
                thread.start()
        try:
            while not self.is_over():
                self.collect_thread_results()
                self.claim()
                self.results.write()
                self.poll(self.poll_timeout())
                self.requests.collect_finished()
        finally:
            self.close()
        return self.handing_over

    def is_over(self) -> bool:
        unfinished = any(not lane.is_quiet for lane in self.lanes.lanes.values()) or not self.released
        return self.stopping and not (unfinished and time.monotonic() < self.drain_ends)

    def collect_thread_results(self) -> None:
        """Take over what the threads have found, and check for a stop."""
        if self.listening is None and self.listener.session is not None:
            self.listening = self.listener.session.fileno()
            self.transfers.epoll.register(self.listening, select.EPOLLIN)
        for thread in (self.claimer, self.recorder, self.sweeper):
            if thread.error is not None:
                raise RuntimeError(f"the sender's {thread.name} has ended") from thread.error
        self.results.collect_recorded()
        while self.recorder.held:
            key, is_held = self.recorder.held.popleft()
            if key in self.owned.queues:
                self.owned.queues[key].lane.is_held = is_held
                self.lanes.changed(self.owned.queues[key].lane)
        while self.claimer.read:
            self.owned.add_read(self.claimer.read.popleft(), stopping=self.stopping)
        while self.claimer.taken:
            self.start_taken(*self.claimer.taken.popleft())
        if not self.stopping:
            stop = self.claimer.lost_slot or worker_slots.is_stop_requested(self.stop_fd)
            if stop or self.worker_slot.is_handover_due:
                self.stopping, self.handing_over = True, not stop
                self.drain_ends = time.monotonic() + DRAIN_SECONDS
        if self.stopping:
            self.stop()
        elif not self.claimer_works:
            self.compare_and_give_up()

    @property
    def claimer_works(self) -> bool:
        """Returns whether the claimer has a job, or a result that is not merged: a queue may be read or taken now."""
        return bool(self.claimer.busy or self.claimer.read or self.claimer.taken)

    def compare_and_give_up(self) -> None:
        """Compare what the sweeps have found. Give up the queues beyond the share that have nothing in flight.

        Not while the claimer works: a queue that it reads would come back after it was released.
        """
        if self.claimer.reconnected:  # PostgreSQL may have lost what it committed last
            self.claimer.reconnected = False
            self.owned.own_all_again()
        while self.sweeper.swept:
            self.owned.compare(self.sweeper.swept.popleft())
        self.owned.give_up_leaving()

    def stop(self) -> None:
        """Take no more; release the slot, and each queue that has nothing in flight, for a successor."""
        if self.picked:
            for lane, key in self.picked:
                self.lanes.put_back(self.owned.queues[lane].lane, key)
            self.picked = []
        if self.claimer.busy or self.claimer.taken:
            return  # a message that is being taken has to be handed back first
        if settled := [key for key, queue in self.owned.queues.items() if queue.lane.is_quiet]:
            self.owned.forget(settled)
            self.claimer.release(settled)
        if not self.released:
            self.released = True
            self.claimer.submit(self.release_slot)
            log.info("sender %s stops; %s messages in flight", self.worker_slot.slot, self.lanes.in_flight)

    def release_slot(self) -> None:
        """Let a successor start while this run finishes its requests. Runs in the claimer's thread."""
        self.worker_slot.release_slot()
        if self.handing_over:
            self.request_successor()

    def start_taken(self, wanted: Sequence[tuple[int, int]], taken: Sequence[OutgoingMessage]) -> None:
        """Start the messages that were taken. Those that were not found are gone, or may not be sent now."""
        found = {outgoing.pk for outgoing in taken}
        for key, message in wanted:
            if message not in found:  # if it is locked, the next one of its chat must not be sent before it
                self.lanes.put_back(
                    self.owned.queues[key].lane, message, time.monotonic() + TRY_AGAIN_SECONDS
                )
                self.owned.to_read_again[key] = None
        if self.stopping:
            if taken:
                self.claimer.hand_back([outgoing.pk for outgoing in taken])
            for outgoing in taken:
                self.lanes.put_back(self.owned.queues[outgoing.instance_id].lane, outgoing.pk)
            return
        for outgoing in taken:
            queue = self.owned.queues[outgoing.instance_id]
            self.requests.prepare(Sending(queue, outgoing, message_to_send(outgoing, queue.channel)))

    def claim(self) -> None:
        """Take messages of the lanes that may send, read and own queues, sweep, and send the heartbeat."""
        if self.stopping:
            return
        self.sweeper.sweep_if_due()
        now = time.monotonic()
        if not self.results.are_too_many:
            self.picked += [(lane.key, waiting.key) for lane, waiting in self.lanes.pick(now)]
        if self.claimer_works:
            return
        if self.picked:
            delays = {lane: int(self.owned.queues[lane].lane.send_delay) for lane, _ in self.picked}
            self.claimer.take(self.picked, {lane: delay for lane, delay in delays.items() if delay})
            self.picked = []
        self.owned.own_and_read()
        if now >= self.next_heartbeat:
            self.next_heartbeat = now + HEARTBEAT_SECONDS
            self.claimer.send_heartbeat(self.lanes.in_flight)

    def read_notifications(self, fd: int) -> None:
        for payload in self.listener.read():
            if payload.isdigit():
                self.owned.note_notification(int(payload))
            elif payload == CHANNEL_WORK and self.channel_work is not None:
                self.channel_work.wake()
        if self.listener.session is None:
            with contextlib.suppress(OSError):  # closed already, and removed from the epoll with that
                self.transfers.epoll.unregister(fd)
            self.listening = None

    def poll_timeout(self) -> float:
        """Returns how many seconds to wait for events at most."""
        now = time.monotonic()
        waits = [max(self.next_heartbeat - now, 0.0) if not self.stopping else 0.2]
        if not self.stopping and not self.sweeper.busy:
            waits.append(self.sweeper.next_sweep - now)
        if self.transfers.timer is not None:
            waits.append(self.transfers.timer - now)
        if self.results.results and not self.recorder.busy:
            waits.append(self.results.write_due - now)
        if not self.stopping and self.lanes.in_flight < self.lanes.max_in_flight:
            if self.lanes.turns:
                waits.append(0.0)
            elif self.lanes.next_timer is not None:
                waits.append(self.lanes.next_timer - now)
        if self.claimer.busy:  # it wakes this thread when it is done; nothing can be claimed until then
            waits = [max(wait, 0.001) for wait in waits]
        elif self.owned.has_work or self.picked:
            waits.append(0.0 if not self.stopping else 0.2)
        return max(min(waits), 0.0)

    def poll(self, seconds: float) -> None:
        for fd in self.transfers.poll(seconds):
            if fd == self.wakeup.fd:
                self.wakeup.drain()
            elif fd == self.listening:
                self.read_notifications(fd)
            elif fd == self.stop_fd and self.stopping:
                # it stays readable, and would wake this thread continuously
                self.transfers.epoll.unregister(fd)

    def close(self) -> None:
        """Write the remaining results, release the queues, end the threads."""
        retry_until = time.monotonic() + 5
        self.recorder.retry_until = self.claimer.retry_until = retry_until
        self.listener.end()
        if self.channel_work is not None:
            self.channel_work.end()
        self.results.submit_results()
        self.sweeper.end()
        if self.recorder.put_off:
            self.recorder.write_put_off()
        self.recorder.end()
        self.results.collect_recorded()
        # Not those with a message in flight: a successor takes them over, and the message is marked.
        self.claimer.release([key for key, queue in self.owned.queues.items() if queue.lane.is_quiet])
        self.claimer.flush_counts()
        self.claimer.end()
        self.transfers.close()
        self.listener.join(timeout=2)
        if self.channel_work is not None:
            self.channel_work.join(timeout=2)
        self.wakeup.close()


def run(
    worker_slot: worker_slots.WorkerSlot,
    *,
    stop_fd: int | None = None,
    request_successor: Callable[[], object] = lambda: None,
) -> bool:
    """Send messages until a stop is requested (returns False) or a hand-over is due (returns True).

    `stop_fd` becomes readable when a stop is requested. `request_successor` is called once, in another thread, when a
    hand-over starts.
    """
    save_memory()
    return Sender(worker_slot, stop_fd, request_successor).run()
