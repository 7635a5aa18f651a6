"""The dispatcher's loop: claim due hooks, send as many at once as allowed, record the results.

One thread sends and runs all transfers (transfers.py); the database is left to the threads of database_threads.py. No
transaction and no row lock is open while a request is in flight.
"""

from __future__ import annotations

import contextlib
import logging
import select
import time
from collections.abc import Callable

import pycurl
from django.conf import settings

from hooks import database_clock, tracing, worker_slots
from hooks.dispatch.attempts import AttemptResult, ClaimedHook, attempt_result
from hooks.dispatch.claim import MIN_LEASE_LEFT
from hooks.dispatch.database_threads import HEARTBEAT_SECONDS, Claimer, Recorder, Sweeper
from hooks.dispatch.exposure import WAIT_SECONDS, Exposure
from hooks.dispatch.journal import Journal
from hooks.dispatch.lanes import Lanes
from hooks.dispatch.process_limits import max_in_flight, save_memory
from hooks.dispatch.threads import Listener
from hooks.dispatch.transfers import Transfers
from hooks.dispatch.wakeup_pipe import WakeupPipe
from hooks.http import Response, Transfer
from hooks.metrics import Counts
from hooks.models import Outcome, State
from hooks.outbox import CHANNEL

log = logging.getLogger(__name__)

BATCH = 500  # results written at once …
# … or after this time, whichever is first. At 400/s that is 20 results at once; one at a time, PostgreSQL and Python
# each needed 1.1 ms of CPU for a result, a quarter of the cost of an event.
BATCH_SECONDS = 0.05
MAX_CLAIM = 300  # hooks per claim; 1 000 are no faster and take 8 MB more
MAX_UNWRITTEN = 4 * BATCH  # results waiting for the database; with more, no request is started
# Without a response from the database for this time, no request is started. PostgreSQL ends the sessions of a machine
# that is cut off after 6 s (chatapi/database/lost_sessions.py), and another dispatcher sends the same hooks.
CONTACT_SECONDS = 4.0
DRAIN_SECONDS = settings.HOOKS_DEADLINE_MS / 1000 + 0.5  # a stop waits this long for requests in flight


class Dispatcher:
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
        self.released = False  # while stopping: are the lanes and the slot free for a successor?
        self.hand_backs = 0  # how often claimed hooks were handed back
        self.drain_ends = 0.0
        self.wakeup = WakeupPipe()
        counts = Counts()
        self.claimer = Claimer(worker_slot, self.wakeup, counts)
        self.journal = Journal(worker_slot.id)
        self.recorder = Recorder(worker_slot.id, self.claimer.places, self.wakeup, counts, self.journal)
        self.sweeper = Sweeper(worker_slot.id, self.claimer.places, self.wakeup, counts)
        self.listener = Listener(CHANNEL, self.wakeup)
        self.listening: int | None = None  # the listener's session in the epoll
        self.lanes = Lanes(max_in_flight())
        # lanes that may have a due first attempt, and a due retry; a dict keeps their order
        self.lanes_to_claim: dict[int, None] = {}
        self.retry_lanes_to_claim: dict[int, None] = {}
        # lanes with due retries beyond max_retries_in_flight
        self.lanes_with_deferred_retries: dict[int, None] = {}
        self.results: list[AttemptResult] = []
        self.journaled = 0  # how many of `results` are in the journal
        self.exposure = Exposure()
        self.is_cut_off = False  # has the database not responded for CONTACT_SECONDS?
        self.needs_room = False  # are there hooks to send that `exposure` does not allow yet?
        self.write_due = 0.0  # by time.monotonic(): when to record `results`
        self.next_heartbeat = 0.0
        self.transfers = Transfers(self.lanes.max_in_flight)
        self.transfers.epoll.register(self.wakeup.fd, select.EPOLLIN)
        if stop_fd is not None:
            self.transfers.epoll.register(stop_fd, select.EPOLLIN)

    def run(self) -> bool:
        """Run until a stop or a hand-over, then finish and record what is in flight; returns whether it handed over."""
        self.claimer.start()
        self.recorder.start()
        self.sweeper.start()
        self.listener.start()
        try:
            while not self.is_over():
                self.collect_thread_results()
                self.send()
                self.claim()
                self.write()
                self.poll(self.poll_timeout())
                self.collect_finished_transfers()
        finally:
            self.close()
        return self.handing_over

    def is_over(self) -> bool:
        unfinished = self.lanes.in_flight or not self.released
        return self.stopping and not (unfinished and time.monotonic() < self.drain_ends)

    def collect_thread_results(self) -> None:
        """Read what the threads have found: lanes to claim, claimed hooks, errors, a lost slot; check for a stop."""
        for found_lanes in (self.claimer.due_lanes, self.sweeper.due_lanes, self.recorder.strict_lanes):
            while found_lanes:
                self.add_lane(found_lanes.popleft())
        late: list[int] = []
        while self.sweeper.lanes_with_late_retries:
            late.append(self.sweeper.lanes_with_late_retries.popleft())
        if late:
            self.claimer.search_whole(late)
        if self.listening is None and self.listener.session is not None:
            self.listening = self.listener.session.fileno()
            self.transfers.epoll.register(self.listening, select.EPOLLIN)
        for thread in (self.claimer, self.recorder, self.sweeper):
            if thread.error is not None:
                raise RuntimeError(f"the dispatcher's {thread.name} has ended") from thread.error
        while self.recorder.recorded:
            self.lanes.note_recorded(result.hook for result in self.recorder.recorded.popleft())
        if self.claimer.reconnected:
            self.claimer.reconnected = False
            self.forget_claims()
        while self.claimer.claims:
            mark, found = self.claimer.claims.popleft()
            if mark == self.hand_backs:
                self.lanes.add(found.hooks)
                self.lanes_to_claim.update(dict.fromkeys(found.lanes_with_more))
                self.retry_lanes_to_claim.update(dict.fromkeys(found.lanes_with_more_retries))
                self.lanes_with_deferred_retries.update(dict.fromkeys(found.lanes_with_deferred_retries))
            else:
                # Older hooks of these lanes were handed back after this claim was submitted; sending these first would
                # break the order.
                self.hand_back(found.hooks)
        if not self.stopping:
            stop = self.claimer.lost_slot or worker_slots.is_stop_requested(self.stop_fd)
            if stop or self.worker_slot.is_handover_due:
                self.stopping, self.handing_over = True, not stop
                self.drain_ends = time.monotonic() + DRAIN_SECONDS
        if self.stopping:
            self.stop()

    def add_lane(self, lane: int) -> None:
        """Note that a lane may have due hooks."""
        self.lanes_to_claim[lane] = self.retry_lanes_to_claim[lane] = None

    def read_notifications(self, fd: int) -> None:
        for payload in self.listener.read():
            if payload.isdigit():
                self.add_lane(int(payload))
        if self.listener.session is None:
            with contextlib.suppress(OSError):  # closed already, and removed from the epoll with that
                self.transfers.epoll.unregister(fd)
            self.listening = None

    def stop(self) -> None:
        """Claim no more, hand back the hooks that are not in flight, release the lanes and the slot for a successor.

        The lanes are released only when no claim is pending: otherwise a successor could claim younger hooks first.
        Lanes with a request in flight, or with a result that is not recorded yet, follow when they have none.
        """
        no_claim_pending = not self.claimer.busy and not self.claimer.claims
        self.hand_back_unsent()
        if not self.released and not no_claim_pending:
            return
        if finished := self.lanes.forget_empty():
            unsent = self.lanes_to_claim.keys() | self.retry_lanes_to_claim.keys()
            self.claimer.release_lanes(finished, with_more=unsent.intersection(finished))
        if not self.released:
            self.claimer.submit(self.release_slot)
            self.released = True
            log.info(
                "dispatcher %s stops; %s requests in flight", self.worker_slot.slot, self.lanes.in_flight
            )

    def release_slot(self) -> None:
        """Let a successor start while this run finishes its requests. Runs in the claimer's thread."""
        self.worker_slot.release_slot()
        if self.handing_over:
            self.request_successor()

    def forget_claims(self) -> None:
        """Hand back all that is not in flight: the claimer's session broke, and with it the result of a claim."""
        self.hand_backs += 1
        self.hand_back_unsent()
        self.claimer.reset_cursors(self.lanes.last_started())

    def hand_back_unsent(self) -> None:
        self.hand_back(self.lanes.empty_buffers())

    def hand_back(self, hooks: list[ClaimedHook]) -> None:
        if hooks:
            self.hand_backs += 1
            self.claimer.hand_back(hooks)
            lanes = dict.fromkeys(hook.endpoint_id for hook in hooks)
            self.lanes_to_claim.update(lanes)
            self.retry_lanes_to_claim.update(lanes)

    def send(self) -> None:
        """Start requests up to max_in_flight; none while the database lags behind, as results would fill the memory.

        None either while it does not respond: another dispatcher may own the hooks by now.
        """
        self.lanes.release_late()
        self.needs_room = False
        self.check_contact()
        if self.is_cut_off or len(self.results) + self.recorder.unwritten >= MAX_UNWRITTEN:
            return
        too_late: list[ClaimedHook] = []
        for hook in self.lanes.next_hooks(self.exposure.room()):
            if hook.lease_ends - time.monotonic() < MIN_LEASE_LEFT:
                # with the other hooks of its lane, even if their leases are younger: they must not be sent before it
                too_late += [hook, *self.lanes.empty_buffer(self.lanes.finish(hook))]
                continue
            self.start(hook)
        self.needs_room = (
            bool(self.lanes.ready)
            and self.lanes.in_flight < self.lanes.max_in_flight
            and self.exposure.room() <= 0
        )
        self.hand_back(too_late)

    def check_contact(self) -> None:
        """Note whether the database has responded lately. The heartbeat asks it every second."""
        contact_at = max(self.claimer.contact_at, self.recorder.contact_at)
        is_cut_off = time.monotonic() - contact_at > CONTACT_SECONDS
        if is_cut_off and not self.is_cut_off:
            log.warning(
                "dispatcher %s: the database has not responded for %.0f s; no request is started until it does",
                self.worker_slot.slot,
                CONTACT_SECONDS,
            )
        self.is_cut_off = is_cut_off

    def start(self, hook: ClaimedHook) -> None:
        transfer = self.transfers.idle.pop() if self.transfers.idle else Transfer()
        at = database_clock.now()
        headers: dict[str, str] = {}
        lane = self.lanes.note_started(hook)
        transfer.job = (hook, at, headers, self.exposure.add(lane.average_seconds))
        try:
            headers |= hook.headers(at)
            transfer.start(hook.url, headers, hook.body)
            self.transfers.multi.add_handle(transfer.curl)
        except (pycurl.error, ValueError) as error:  # one invalid row must not stop the others
            self.add_result(transfer, Response(Outcome.PROTOCOL, error=f"not sent: {error}"))

    def claim(self) -> None:
        """Claim for lanes that need more; send the heartbeat, sweep, and find the retries that are due."""
        if self.stopping:
            return
        self.sweeper.sweep_if_due()
        if self.claimer.busy or self.claimer.claims:
            return
        now = time.monotonic()
        if now >= self.next_heartbeat:
            self.next_heartbeat = now + HEARTBEAT_SECONDS
            self.claimer.send_heartbeat(self.lanes.in_flight)
            self.exposure.shrink()
            if idle := self.lanes.forget_idle():
                self.claimer.release_lanes(idle)
            return
        if self.claimer.next_retry is not None and now >= self.claimer.next_retry:
            self.claimer.next_retry = None
            self.claimer.find_due_retries()
            return
        room = min(MAX_CLAIM, 2 * self.lanes.max_in_flight - self.lanes.buffered)
        free = min(MAX_CLAIM, self.lanes.max_in_flight - self.lanes.in_flight)
        retries = self.lanes.retries_to_claim()
        # not for each retry: such a claim examines many lanes
        if self.lanes_with_deferred_retries and retries >= self.lanes.max_retries_in_flight / 4:
            self.retry_lanes_to_claim.update(self.lanes_with_deferred_retries)
            self.lanes_with_deferred_retries.clear()
        wanted: dict[int, int] = {}
        for lane in list(self.lanes_to_claim):
            if room <= 0 and free <= 0:
                break
            hooks = min(self.lanes.hooks_to_claim(lane), max(room, 0))
            if room <= 0 and self.lanes.is_empty(lane):
                hooks = 1  # buffered hooks of hanging endpoints must not keep other lanes from sending
            if hooks:
                wanted[lane] = hooks
                room -= hooks
                free -= hooks
                del self.lanes_to_claim[lane]
        wanted_retries: dict[int, int] = {}
        free = min(MAX_CLAIM, retries)
        for lane in list(self.retry_lanes_to_claim):
            if free <= 0:
                break
            hooks = min(self.lanes.retries_of_lane_to_claim(lane), free)
            if hooks:
                wanted_retries[lane] = hooks
                free -= hooks
                del self.retry_lanes_to_claim[lane]
        if wanted or wanted_retries:
            self.claimer.claim(wanted, wanted_retries, mark=self.hand_backs, max_retries=retries)

    def write(self) -> None:
        """Pass results to the recorder, in batches that grow with the load."""
        if not self.results or (self.recorder.busy and len(self.results) < 2 * BATCH):
            return
        if time.monotonic() >= self.write_due or len(self.results) >= BATCH:
            self.submit_results()

    def submit_results(self) -> None:
        self.recorder.write(self.results, self.journal.end_batch())
        self.results, self.journaled = [], 0

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
        if self.lanes.next_late is not None:
            waits.append(self.lanes.next_late - now)
        if self.claimer.next_retry is not None:
            waits.append(self.claimer.next_retry - now)
        if self.claimer.busy:  # it wakes this thread when it is done; nothing can be claimed until then
            waits = [max(wait, 0.001) for wait in waits]
        if self.needs_room:
            waits.append(WAIT_SECONDS)
        return max(min(waits), 0.0)

    def poll(self, seconds: float) -> None:
        began = time.monotonic()
        ready = self.transfers.poll(seconds)
        if self.needs_room and time.monotonic() - began >= WAIT_SECONDS:
            self.exposure.grow(self.lanes.max_in_flight)
        for fd in ready:
            if fd == self.wakeup.fd:
                self.wakeup.drain()
            elif fd == self.listening:
                self.read_notifications(fd)
            elif fd == self.stop_fd and self.stopping:
                # it stays readable, and would wake this thread continuously
                self.transfers.epoll.unregister(fd)

    def collect_finished_transfers(self) -> None:
        for transfer, code, message in self.transfers.finished():
            response = transfer.finish(code, message)
            self.transfers.multi.remove_handle(transfer.curl)
            self.add_result(transfer, response)
        # Before other requests start.
        self.journal.write(self.results[self.journaled :])
        self.journaled = len(self.results)

    def add_result(self, transfer: Transfer, response: Response) -> None:
        """Add a result to the batch, return the handle to the pool, and let the lane send its next hook."""
        hook, at, headers, exposed = transfer.job
        transfer.job = None
        if exposed is not None:
            exposed.end()
        self.transfers.idle.append(transfer)
        if not self.results:
            self.write_due = time.monotonic() + BATCH_SECONDS
        if hook.strict:  # its lane waits for the record
            self.write_due = 0.0
        result = attempt_result(hook, at, headers, response)
        self.results.append(result)
        lane, seconds = self.lanes.finish(hook), response.total_ms / 1000
        lane.unrecorded += 1
        if (
            hook.strict and result.state is State.RETRYING
        ):  # the hooks after it must wait until it is finished
            self.hand_back(self.lanes.empty_buffer(lane))
        if hook.is_retry and not hook.parallel and not hook.strict:
            lane.adapt_retries(seconds)
        else:
            lane.adapt(seconds, in_time=response.outcome != Outcome.TIMEOUT)

    def close(self) -> None:
        """Write the remaining results, release the lanes, end the threads."""
        retry_until = time.monotonic() + 5
        self.recorder.retry_until = self.claimer.retry_until = retry_until
        self.listener.end()
        if self.results:
            self.submit_results()
        self.sweeper.end()
        self.recorder.end()
        self.recorder.session.close()
        self.journal.close()
        self.claimer.release_lanes(with_more=list(self.lanes.lanes))
        self.claimer.flush_counts()
        self.claimer.end()
        self.transfers.close()
        self.listener.join(timeout=2)
        self.wakeup.close()
        tracing.flush()  # last: it may wait for a collector


def run(
    worker_slot: worker_slots.WorkerSlot,
    *,
    stop_fd: int | None = None,
    request_successor: Callable[[], object] = lambda: None,
) -> bool:
    """Dispatch until a stop is requested (returns False) or a hand-over is due (returns True).

    `stop_fd` becomes readable when a stop is requested. `request_successor` is called once, in another thread, when a
    hand-over starts.
    """
    save_memory()
    return Dispatcher(worker_slot, stop_fd, request_successor).run()
