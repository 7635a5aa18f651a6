"""The sender's loop: own queues, take messages, make requests to messengers, record the results.

One thread runs all transfers, as that of the dispatcher (hooks/dispatch/transfers.py); the database is left to the
threads of database_threads.py. lanes.py decides what is sent next.
"""

from __future__ import annotations

import contextlib
import logging
import select
import time
from collections.abc import Callable, Sequence

import pycurl
from django.conf import settings

from hooks import worker_slots
from hooks.dispatch.process_limits import max_in_flight, save_memory
from hooks.dispatch.threads import Listener
from hooks.dispatch.transfers import Transfers
from hooks.dispatch.wakeup_pipe import WakeupPipe
from hooks.http import Response, Transfer
from hooks.metrics import Counts
from hooks.models import Outcome
from instances.actions.sending.accept import OUTGOING_CHANNEL
from instances.actions.sending.record import FailedMessage, QueueWait, Recorded, RetriedMessage, SentMessage
from instances.channels import channel_of
from instances.channels.open_streams import is_to_stream
from instances.channels.queued_messages import message_to_send
from instances.channels.requests import Failed, Local, Refused, Request, Result, Scope, Uploaded, Wait
from instances.channels.sandbox.actions.receipts import CHANNEL_WORK
from instances.models import OutgoingMessage
from instances.sending import metrics, tries
from instances.sending.channel_work import ChannelWork
from instances.sending.database_threads import Claimer, Read, Recorder, Sweeper, Swept, monotonic
from instances.sending.lanes import Lane, Lanes
from instances.sending.request_bodies import open_body
from instances.sending.sharing import Sharing
from instances.sending.tries import Ended, OwnedQueue, Sending

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0  # between two heartbeats
TRY_AGAIN_SECONDS = 1.0  # after which a message or result that was locked is tried again
BATCH = 500  # results written at once …
BATCH_SECONDS = 0.05  # … or after this time, whichever is first
MAX_UNWRITTEN = 4 * BATCH  # results waiting for the database; with more, nothing is started
MAX_OWN = 500  # queues that are owned, or read, at once
# between two readings of a queue's instance: sendDelay and credentials may have changed
READ_AGAIN_SECONDS = 5.0
IDLE_SECONDS = 5.0  # after this without a message a queue is released
DEADLINE = settings.HOOKS_DEADLINE_MS / 1000  # of a request …
UPLOAD_DEADLINE = 120.0  # … and of one that uploads a file
RESULT_LABELS: dict[type[Recorded], str] = {
    SentMessage: metrics.SENT,
    FailedMessage: metrics.FAILED,
    RetriedMessage: metrics.RETRIED,
}
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
        self.sharing = Sharing(self.lanes)
        self.queues: dict[int, OwnedQueue] = {}
        self.to_own: dict[int, None] = {}  # a dict keeps the order
        self.to_read: dict[int, None] = {}  # queues with new messages …
        self.to_read_again: dict[int, None] = {}  # … and those that may differ from what is known
        self.empty_since: dict[int, float] = {}
        self.picked: list[tuple[int, int]] = []  # lane and key of messages to take
        self.results: list[Ended] = []
        self.waits: dict[int, QueueWait] = {}  # of queues, to be written with the results
        self.write_due = 0.0  # by time.monotonic()
        self.next_heartbeat = 0.0
        self.next_put_off = 0.0
        self.transfers = Transfers(self.lanes.max_in_flight)
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
                self.write()
                self.poll(self.poll_timeout())
                self.collect_finished_transfers()
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
        while self.recorder.recorded:
            for ended in self.recorder.recorded.popleft():
                self.note_recorded(ended)
        while self.recorder.held:
            key, is_held = self.recorder.held.popleft()
            if key in self.queues:
                self.queues[key].lane.is_held = is_held
                self.lanes.changed(self.queues[key].lane)
        while self.claimer.read:
            self.add_read(self.claimer.read.popleft())
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
            self.to_own.update(dict.fromkeys(self.queues))
        while self.sweeper.swept:
            self.compare(self.sweeper.swept.popleft())
        if not (ready := self.sharing.ready_to_leave()):
            return
        self.forget(ready)
        self.sharing.note_left(ready)
        self.claimer.give_up(ready)

    def stop(self) -> None:
        """Take no more; release the slot, and each queue that has nothing in flight, for a successor."""
        if self.picked:
            for lane, key in self.picked:
                self.put_back(self.queues[lane].lane, key)
            self.picked = []
        if self.claimer.busy or self.claimer.taken:
            return  # a message that is being taken has to be handed back first
        if settled := [key for key, queue in self.queues.items() if queue.lane.is_quiet]:
            self.forget(settled)
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

    def forget(self, keys: Sequence[int]) -> None:
        for key in keys:
            del self.queues[key]
            self.lanes.forget(key)
            self.sharing.forget(key)
            self.empty_since.pop(key, None)

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
                self.queues[key].lane.replace([])
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

    def add_read(self, read: Read) -> None:
        """Take over a queue that was read, or what is new in it."""
        key, now = read.instance.pk, time.monotonic()
        queue = self.queues.get(key)
        channel = channel_of(read.instance)
        if queue is None:
            if self.stopping or not read.is_whole:  # new messages are read of queues that it owns
                return
            lane = Lane(key, channel.limits, send_delay=read.instance.send_delay)
            queue = self.queues[key] = OwnedQueue(lane, read.instance, channel, read.link, now)
            self.lanes.insert(lane)
        queue.instance, queue.channel, queue.link, queue.read_at = read.instance, channel, read.link, now
        lane = queue.lane
        lane.send_delay = read.instance.send_delay
        lane.not_before = max(lane.not_before, read.not_before)
        if read.is_whole:
            lane.replace(read.messages)
            lane.note_whole(read.first)
        else:
            lane.add([waiting for waiting in read.messages if waiting.number > lane.last_number])
        self.lanes.changed(lane)

    def start_taken(self, wanted: Sequence[tuple[int, int]], taken: Sequence[OutgoingMessage]) -> None:
        """Start the messages that were taken. Those that were not found are gone, or may not be sent now."""
        found = {outgoing.pk for outgoing in taken}
        for key, message in wanted:
            if message not in found:  # if it is locked, the next one of its chat must not be sent before it
                self.put_back(self.queues[key].lane, message, time.monotonic() + TRY_AGAIN_SECONDS)
                self.to_read_again[key] = None
        if self.stopping:
            if taken:
                self.claimer.hand_back([outgoing.pk for outgoing in taken])
            for outgoing in taken:
                self.put_back(self.queues[outgoing.instance_id].lane, outgoing.pk)
            return
        for outgoing in taken:
            queue = self.queues[outgoing.instance_id]
            self.prepare(Sending(queue, outgoing, message_to_send(outgoing, queue.channel)))

    def prepare(self, sending: Sending, uploaded: str | None = None) -> None:
        """Start the message's request, or that of its file."""
        queue = sending.queue
        try:
            prepared = queue.channel.prepare(sending.message, queue.link, uploaded)
        except Exception as error:  # one channel's failure must not stop the others
            log.exception("Preparing message %s failed", sending.outgoing.message_id)
            self.end_try(sending, Failed(f"this server could not prepare the request ({error})"))
            return
        match prepared:
            case Local():
                if not queue.lane.is_local:
                    queue.lane.become_local()
                self.add_result(Ended(queue, sending.outgoing, None))
            case Refused() | Wait():
                self.end_try(sending, prepared)
            case Request():
                sending.request = prepared
                self.start(sending, prepared)

    def start(self, sending: Sending, request: Request) -> None:
        is_file = bool(request.body_path)
        transfer = self.transfers.idle.pop() if self.transfers.idle and not is_file else Transfer()
        transfer.job = sending
        try:
            if is_file:
                sending.file = open_body(request)
            transfer.start_request(
                request.method,
                request.url,
                request.headers,
                request.body,
                file=sending.file,
                deadline=UPLOAD_DEADLINE if is_file or request.is_upload else DEADLINE,
                is_exempt=is_to_stream(request.url, sending.queue.link),
            )
            self.transfers.multi.add_handle(transfer.curl)
        except (pycurl.error, ValueError, OSError) as error:  # one message must not stop the others
            self.free(transfer)
            self.end_try(sending, Failed(""), Response(Outcome.PROTOCOL, error=f"not sent: {error}"))

    def free(self, transfer: Transfer) -> None:
        sending, transfer.job = transfer.job, None
        if sending.file is None:
            self.transfers.idle.append(transfer)
            return
        sending.file.close()
        sending.file = None
        transfer.curl.close()

    def collect_finished_transfers(self) -> None:
        for transfer, code, message in self.transfers.finished():
            response = transfer.finish(code, message)
            self.transfers.multi.remove_handle(transfer.curl)
            sending: Sending = transfer.job
            self.free(transfer)
            try:
                result = tries.read_response(sending, response)
            except Exception as error:  # one channel's failure must not stop the others
                log.exception("Reading the response to message %s failed", sending.outgoing.message_id)
                result = Failed(f"this server could not read the response ({error})")
            if isinstance(result, Uploaded) and sending.request and sending.request.is_upload:
                self.prepare(sending, result.value)
            else:
                self.end_try(sending, result, response)

    def end_try(self, sending: Sending, result: Result, response: Response | None = None) -> None:
        """Tell the lane what the result means, and add it to the batch."""
        ended = tries.end(sending, result, response)
        queue, lane, now = sending.queue, sending.queue.lane, time.monotonic()
        if response is not None and response.outcome == Outcome.TIMEOUT:
            lane.note_timeout()
        elif not ended.is_fault:
            lane.note_response()
        if (
            isinstance(result, Wait)
            and isinstance(ended.recorded, RetriedMessage)
            and ended.recorded.next_try_at
        ):
            lane.note_timeout()
            if result.scope is Scope.NUMBER:
                lane.not_before = max(lane.not_before, monotonic(ended.recorded.next_try_at))
                self.set_wait(queue, QueueWait(ended.recorded.next_try_at, result.reason))
        if ended.unlinked:
            lane.replace([])
        if isinstance(result, Wait | Failed) and (queue.link.stream_url or response is None):
            self.to_read_again[lane.key] = None  # the connection may be another receiver's now
        self.note_health(ended, now)
        self.add_result(ended)

    def note_health(self, ended: Ended, now: float) -> None:
        """Open the breaker after failures; close it, and clear the queue's wait, after a success."""
        queue, breaker = ended.queue, ended.queue.lane.breaker
        if ended.is_fault and isinstance(ended.recorded, RetriedMessage):
            if breaker.note_failure(now):
                until = tries.wall_clock(breaker.open_until)
                self.set_wait(
                    queue,
                    QueueWait(until, f"the last {breaker.failures} tries failed: {ended.recorded.reason}"),
                )
        elif isinstance(ended.recorded, SentMessage | FailedMessage):
            breaker.note_success()
            if queue.shows_wait:
                self.set_wait(queue, QueueWait())

    def set_wait(self, queue: OwnedQueue, wait: QueueWait) -> None:
        self.waits[queue.lane.key] = wait
        queue.shows_wait = wait.until is not None

    def add_result(self, ended: Ended) -> None:
        """Add a result to the batch. The next message of its chat may follow if this one is sent or has failed.

        A message that is tried again stays in flight until it is recorded: it must not be taken before.
        """
        if not self.results:
            self.write_due = time.monotonic() + BATCH_SECONDS
        lane = ended.queue.lane
        self.results.append(ended)
        if lane.is_local and ended.recorded is None:
            self.write_due = 0.0  # the turn ends when it is recorded
        elif isinstance(ended.recorded, SentMessage | FailedMessage) or ended.recorded is None:
            lane.unrecorded.add(ended.outgoing.pk)
            self.end(lane, ended.outgoing.pk)
            ended.has_left = True

    def note_recorded(self, ended: Ended) -> None:
        lane, recorded = ended.queue.lane, ended.recorded
        if ended.has_left:
            lane.unrecorded.discard(ended.outgoing.pk)
            # it was carried out in this process, or could not be recorded
            if isinstance(recorded, RetriedMessage):
                self.to_read_again[lane.key] = None
        elif isinstance(recorded, RetriedMessage):
            self.put_back(
                lane, ended.outgoing.pk, monotonic(recorded.next_try_at) if recorded.next_try_at else 0.0
            )
            if ended.unlinked:  # or linked again, by other credentials
                self.to_read_again[lane.key] = None
            if lane.is_local and ended.is_fault:
                self.note_health(ended, time.monotonic())
        else:
            self.end(lane, ended.outgoing.pk)
            if lane.is_local:
                self.note_health(ended, time.monotonic())
        if recorded is not None:
            result = RESULT_LABELS[type(recorded)]
            by_channel = metrics.BY_CHANNEL[result], ended.queue.instance.channel
            self.counts.count({(metrics.RESULTS, result): 1, by_channel: 1})

    def end(self, lane: Lane, key: int) -> None:
        self.lanes.end(lane, key)

    def put_back(self, lane: Lane, key: int, due: float = 0.0) -> None:
        self.lanes.put_back(lane, key, due)

    def claim(self) -> None:
        """Take messages of the lanes that may send, read and own queues, sweep, and send the heartbeat."""
        if self.stopping:
            return
        self.sweeper.sweep_if_due()
        now = time.monotonic()
        if len(self.results) + self.recorder.unwritten < MAX_UNWRITTEN:
            self.picked += [(lane.key, waiting.key) for lane, waiting in self.lanes.pick(now)]
        if self.claimer_works:
            return
        if self.picked:
            delays = {lane: int(self.queues[lane].lane.send_delay) for lane, _ in self.picked}
            self.claimer.take(self.picked, {lane: delay for lane, delay in delays.items() if delay})
            self.picked = []
        if self.to_read:
            known = {key: self.queues[key] for key in self.to_read if key in self.queues}
            for key in self.to_read:
                if key not in known:  # released since the notification
                    self.own_unless_left(key)
            self.to_read.clear()
            if known:
                self.claimer.read_new(
                    {key: (queue.instance, queue.lane.last_number) for key, queue in known.items()}
                )
        if self.to_read_again:
            keys = take_some(self.to_read_again)
            self.claimer.read_again(
                {key: self.queues[key].lane.ended_up_to for key in keys if key in self.queues}
            )
        if self.to_own:
            keys = take_some(self.to_own)
            started = [
                key for lane in keys if lane in self.queues for key in self.queues[lane].lane.started()
            ]
            self.claimer.own_queues(keys, started)
        if now >= self.next_heartbeat:
            self.next_heartbeat = now + HEARTBEAT_SECONDS
            self.claimer.send_heartbeat(self.lanes.in_flight)

    def read_notifications(self, fd: int) -> None:
        for payload in self.listener.read():
            if payload.isdigit():
                key = int(payload)
                if key in self.queues:
                    self.to_read[key] = None
                else:
                    self.own_unless_left(key)
            elif payload == CHANNEL_WORK and self.channel_work is not None:
                self.channel_work.wake()
        if self.listener.session is None:
            with contextlib.suppress(OSError):  # closed already, and removed from the epoll with that
                self.transfers.epoll.unregister(fd)
            self.listening = None

    def own_unless_left(self, key: int) -> None:
        if not self.sharing.is_left(key):
            self.to_own[key] = None

    def write(self) -> None:
        """Pass results to the recorder, in batches that grow with the load."""
        if self.recorder.put_off and not self.recorder.busy and time.monotonic() >= self.next_put_off:
            self.next_put_off = time.monotonic() + TRY_AGAIN_SECONDS
            self.recorder.write_put_off()
        if not (self.results or self.waits) or (self.recorder.busy and len(self.results) < 2 * BATCH):
            return
        if time.monotonic() >= self.write_due or len(self.results) >= BATCH:
            self.submit_results()

    def submit_results(self) -> None:
        self.recorder.write(self.results, self.waits)
        self.results, self.waits = [], {}

    def poll_timeout(self) -> float:
        """Returns how many seconds to wait for events at most."""
        now = time.monotonic()
        waits = [max(self.next_heartbeat - now, 0.0) if not self.stopping else 0.2]
        if not self.stopping and not self.sweeper.busy:
            waits.append(self.sweeper.next_sweep - now)
        if self.transfers.timer is not None:
            waits.append(self.transfers.timer - now)
        if self.results and not self.recorder.busy:
            waits.append(self.write_due - now)
        if not self.stopping and self.lanes.in_flight < self.lanes.max_in_flight:
            if self.lanes.turns:
                waits.append(0.0)
            elif self.lanes.next_timer is not None:
                waits.append(self.lanes.next_timer - now)
        if self.claimer.busy:  # it wakes this thread when it is done; nothing can be claimed until then
            waits = [max(wait, 0.001) for wait in waits]
        elif self.to_read or self.to_own or self.to_read_again or self.picked:
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
        if self.results or self.waits:
            self.submit_results()
        self.sweeper.end()
        if self.recorder.put_off:
            self.recorder.write_put_off()
        self.recorder.end()
        while self.recorder.recorded:
            for ended in self.recorder.recorded.popleft():
                self.note_recorded(ended)
        # Not those with a message in flight: a successor takes them over, and the message is marked.
        self.claimer.release([key for key, queue in self.queues.items() if queue.lane.is_quiet])
        self.claimer.flush_counts()
        self.claimer.end()
        self.transfers.close()
        self.listener.join(timeout=2)
        if self.channel_work is not None:
            self.channel_work.join(timeout=2)
        self.wakeup.close()


def take_some(keys: dict[int, None]) -> list[int]:
    """Remove and return the first MAX_OWN keys."""
    some = list(keys)[:MAX_OWN]
    for key in some:
        del keys[key]
    return some


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
