"""The loop: claim due hooks, keep as many requests in flight as allowed, let CurlMulti run, write what came of it.

One thread sends; it drives CurlMulti by `socket_action` with epoll (with 1 000 transfers hanging, healthy
ones ran at 12 000/s so, and at 4 100/s with perform/select, which look at every transfer each time). The
database is the business of store.py's threads. No transaction and no row lock is open while a request is
under way.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import resource
import select
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pycurl
from django.conf import settings

from hooks import worker_slots
from hooks.dispatch.attempts import AttemptResult, ClaimedHook, attempt_result
from hooks.dispatch.claim import MIN_LEASE_LEFT
from hooks.dispatch.lanes import Lanes
from hooks.dispatch.store import SWEEP_EVERY, Bell, Claimer, Listener, Recorder
from hooks.http import Answer, Transfer
from hooks.metrics import Counts
from hooks.models import Outcome

log = logging.getLogger(__name__)

BATCH = 500  # results that are written at once …
BATCH_SECONDS = 0.05  # … or after this time, whichever is first; at once when nothing else is to do
CLAIM_MOST = 300  # hooks that one claim may bring; 1 000 are no faster and take 8 MB more
UNWRITTEN_MOST = 4 * BATCH  # results that wait for the database; with more, nothing new is sent
DRAIN_SECONDS = settings.HOOKS_DEADLINE_MS / 1000 + 0.5  # a stop waits as long for what is under way
EVENTS = {
    pycurl.POLL_NONE: 0,
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
FILES_BESIDE = 100  # file descriptors for everything that is not a request


class Dispatcher:
    """One run of the loop."""

    def __init__(
        self, seat: worker_slots.Seat, stop_fd: int | None, call_successor: Callable[[], object]
    ) -> None:
        self.seat = seat
        self.call_successor = call_successor
        self.stop_fd = stop_fd
        self.stopping = False
        self.handing_over = False
        self.let_go = False  # when stopping: are the lanes and the slot free for a successor?
        self.put_backs = 0  # how often claimed hooks were put back
        self.drain_ends = 0.0
        self.bell = Bell()
        counts = Counts()
        self.claimer = Claimer(seat, self.bell, counts)
        self.recorder = Recorder(self.bell, counts)
        self.listener = Listener(self.bell)
        self.lanes = Lanes(max_in_flight())
        # lanes that may have a due hook; a dict keeps their order
        self.lanes_to_claim: dict[int, None] = {}
        # lanes with due retries beyond max_retries_in_flight
        self.lanes_with_deferred_retries: dict[int, None] = {}
        self.results: list[AttemptResult] = []
        self.first_result = 0.0
        self.free: list[Transfer] = []
        self.next_sweep = 0.0
        self.epoll = select.epoll()  # by itself: the selectors module's keys take 6 µs a hook
        self.watched: set[int] = set()  # libcurl's descriptors in it
        self.epoll.register(self.bell.fd, select.EPOLLIN)
        if stop_fd is not None:
            self.epoll.register(stop_fd, select.EPOLLIN)
        self.timer: float | None = None  # when libcurl wants to be called next, by time.monotonic()
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self.multi.setopt(pycurl.M_MAXCONNECTS, self.lanes.max_in_flight)

    # -- libcurl's side

    def _watch(self, what: int, fd: int, _multi: object, _data: object) -> None:
        if what == pycurl.POLL_REMOVE:
            self.watched.discard(fd)
            with contextlib.suppress(OSError):  # closed already, and so gone from epoll too
                self.epoll.unregister(fd)
            return
        events = EVENTS[what]
        if fd in self.watched:
            try:
                self.epoll.modify(fd, events)
                return
            except FileNotFoundError:  # closed, and opened anew under its number
                pass
        self.watched.add(fd)
        self.epoll.register(fd, events)

    def _set_timer(self, milliseconds: int) -> None:
        self.timer = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    # -- the turns

    def run(self) -> bool:
        """Until a stop or a hand-over, with everything under way ended and written; True: handed over."""
        self.claimer.start()
        self.recorder.start()
        self.listener.start()
        try:
            while not self.is_over():
                self.take_in()
                self.send()
                self.claim()
                self.write()
                self.poll(self.patience())
                self.harvest()
        finally:
            self.close()
        return self.handing_over

    def is_over(self) -> bool:
        under_way = self.lanes.in_flight or not self.let_go
        return self.stopping and not (under_way and time.monotonic() < self.drain_ends)

    def take_in(self) -> None:
        """What the other threads have brought."""
        while self.listener.lanes:
            self.lanes_to_claim[self.listener.lanes.popleft()] = None
        while self.claimer.waiting:
            self.lanes_to_claim[self.claimer.waiting.popleft()] = None
        for thread in (self.claimer, self.recorder):
            if thread.fault is not None:
                raise RuntimeError(f"the dispatcher's {thread.name} has ended") from thread.fault
        while self.claimer.claims:
            mark, found = self.claimer.claims.popleft()
            if mark == self.put_backs:
                self.lanes.take(found.hooks)
                self.lanes_to_claim.update(dict.fromkeys(found.lanes_with_more))
                self.lanes_with_deferred_retries.update(dict.fromkeys(found.lanes_with_deferred_retries))
            else:  # asked for before older ones of its lanes went back: these must not overtake them
                self.put_back(found.hooks)
        if self.claimer.came_back:
            self.claimer.came_back = False
            self.put_back_unsent()
        if not self.stopping:
            stop = self.claimer.lost_slot or worker_slots.stop_is_wanted(self.stop_fd)
            if stop or self.seat.is_old:
                self.stopping, self.handing_over = True, not stop
                self.drain_ends = time.monotonic() + DRAIN_SECONDS
        if self.stopping and not self.let_go:
            self.stop()

    def stop(self) -> None:
        """Claim no more, put back what has not begun, free the lanes and the slot for a successor.

        The lanes only when no claim is on its way in any more: a successor must not find younger hooks first.
        """
        settled = not self.claimer.busy and not self.claimer.claims
        self.put_back_unsent()
        if settled:
            busy = {lane.endpoint_id for lane in self.lanes.lanes.values() if lane.in_flight}
            self.claimer.release_lanes([endpoint for endpoint in self.lanes.lanes if endpoint not in busy])
            self.claimer.submit(self.give_up_slot)
            self.let_go = True
            log.info("dispatcher %s stops; %s requests are under way", self.seat.slot, self.lanes.in_flight)

    def give_up_slot(self) -> None:
        """In the claimer's thread: from here on a successor may begin, while this one ends its requests."""
        self.seat.give_up_slot()
        if self.handing_over:
            self.call_successor()

    def put_back_unsent(self) -> None:
        self.put_back(self.lanes.give_back_all())

    def put_back(self, hooks: list[ClaimedHook]) -> None:
        if hooks:
            self.put_backs += 1
            self.claimer.hand_back(hooks)
            self.lanes_to_claim.update((hook.endpoint_id, None) for hook in hooks)

    def send(self) -> None:
        """Start requests up to max_in_flight; not while the database lags behind, for results would fill the memory."""
        if len(self.results) + self.recorder.unwritten >= UNWRITTEN_MOST:
            return
        too_late: list[ClaimedHook] = []
        for hook in self.lanes.next_hooks():
            if hook.lease_ends - time.monotonic() < MIN_LEASE_LEFT:
                # with the others of its lane, though their leases be younger: they must not overtake it
                too_late += [hook, *self.lanes.give_back(self.lanes.done(hook))]
                continue
            self.start(hook)
        self.put_back(too_late)

    def start(self, hook: ClaimedHook) -> None:
        transfer = self.free.pop() if self.free else Transfer()
        at = datetime.now(UTC)
        headers: dict[str, str] = {}
        try:
            headers |= hook.headers(at)
            transfer.job = (hook, at, headers)
            transfer.start(hook.url, headers, hook.body)
            self.multi.add_handle(transfer.curl)
        except (pycurl.error, ValueError) as error:  # one bad row must not stop the others
            transfer.job = (hook, at, headers)
            self.keep(transfer, Answer(Outcome.PROTOCOL, error=f"not sent: {error}"))

    def claim(self) -> None:
        """Ask for more where a lane runs short; look around every second, and when a retry is due."""
        if self.stopping or self.claimer.busy or self.claimer.claims:
            return
        now = time.monotonic()
        due = self.claimer.next_due
        if now >= self.next_sweep or (due is not None and now >= due):
            self.claimer.next_due = None
            self.next_sweep = now + SWEEP_EVERY
            self.claimer.look_around(self.lanes.in_flight)
            if idle := self.lanes.idle():
                self.claimer.release_lanes(idle)
            return
        room = min(CLAIM_MOST, 2 * self.lanes.max_in_flight - self.lanes.at_hand)
        free = min(CLAIM_MOST, self.lanes.max_in_flight - self.lanes.in_flight)
        retries = self.lanes.lacking_retries()
        if (
            self.lanes_with_deferred_retries and retries >= self.lanes.max_retries_in_flight / 4
        ):  # not for each one: a claim looks at many lanes
            self.lanes_to_claim.update(self.lanes_with_deferred_retries)
            self.lanes_with_deferred_retries.clear()
        wanted: dict[int, int] = {}
        for lane in list(self.lanes_to_claim):
            if room <= 0 and free <= 0:
                break
            lacking = min(self.lanes.lacking(lane), max(room, 0))
            if room <= 0 and self.lanes.has_nothing(lane):
                lacking = 1  # what endpoints that hang have at hand must not keep the others from sending
            if lacking:
                wanted[lane] = lacking
                room -= lacking
                free -= lacking
                del self.lanes_to_claim[lane]
        if wanted:
            self.claimer.claim(wanted, mark=self.put_backs, max_retries=retries)

    def write(self) -> None:
        """Hand results to the recorder, in batches as large as the rush makes them."""
        if not self.results or (self.recorder.busy and len(self.results) < 2 * BATCH):
            return
        age = time.monotonic() - self.first_result
        quiet = not self.lanes.ready and not self.lanes.at_hand and not self.lanes.in_flight
        if quiet or age >= BATCH_SECONDS or len(self.results) >= BATCH:
            self.recorder.write(self.results)
            self.results = []

    def patience(self) -> float:
        """How long to wait for news, in seconds."""
        now = time.monotonic()
        waits = [max(self.next_sweep - now, 0.0) if not self.stopping else 0.2]
        if self.timer is not None:
            waits.append(self.timer - now)
        if self.results and not self.recorder.busy:
            waits.append(self.first_result + BATCH_SECONDS - now)
        if self.claimer.next_due is not None:
            waits.append(self.claimer.next_due - now)
        if self.claimer.busy:  # it rings when it is done; until then there is nothing to be asked of it
            waits = [max(wait, 0.001) for wait in waits]
        return max(min(waits), 0.0)

    def poll(self, seconds: float) -> None:
        for fd, mask in self.epoll.poll(seconds):
            if fd in self.watched:
                action = (pycurl.CSELECT_IN if mask & ~select.EPOLLOUT else 0) | (
                    pycurl.CSELECT_OUT if mask & ~select.EPOLLIN else 0
                )
                self.multi.socket_action(fd, action)
            elif fd == self.bell.fd:
                self.bell.heard()
            elif fd == self.stop_fd and self.stopping:
                self.epoll.unregister(fd)  # heard; it would wake us for ever
        if self.timer is not None and time.monotonic() >= self.timer:
            self.timer = None
            self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def harvest(self) -> None:
        """The transfers that have ended."""
        more = 1
        while more:
            more, good, bad = self.multi.info_read(100)
            for curl in good:
                self.ended(curl.transfer, 0, "")
            for curl, code, message in bad:
                self.ended(curl.transfer, code, message)

    def ended(self, transfer: Transfer, code: int, message: str) -> None:
        answer = transfer.finish(code, message)
        self.multi.remove_handle(transfer.curl)
        self.keep(transfer, answer)

    def keep(self, transfer: Transfer, answer: Answer) -> None:
        """Put a result with the others, and give the lane its next turn."""
        hook, at, headers = transfer.job
        transfer.job = None
        self.free.append(transfer)
        if not self.results:
            self.first_result = time.monotonic()
        self.results.append(attempt_result(hook, at, headers, answer))
        self.lanes.done(hook).learn(answer.total_ms / 1000, in_time=answer.outcome != Outcome.TIMEOUT)

    def close(self) -> None:
        """Write the rest, let go of everything."""
        give_up_at = time.monotonic() + 5
        self.recorder.give_up_at = self.claimer.give_up_at = give_up_at
        self.listener.ending = True
        if self.results:
            self.recorder.write(self.results)
            self.results = []
        self.recorder.end()
        self.recorder.session.close()
        self.claimer.release_lanes()
        self.claimer.flush_counts()
        self.claimer.end()
        for transfer in self.free:
            transfer.curl.close()
        self.multi.close()
        self.epoll.close()
        self.listener.join(timeout=2)
        self.bell.close()


def max_in_flight() -> int:
    """HOOKS_WINDOW, or as many as the process may open files for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.HOOKS_WINDOW * 2 + FILES_BESIDE  # kept connections count too
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(min(settings.HOOKS_WINDOW, (soft - FILES_BESIDE) // 2), 10)


def keep_memory_small() -> None:
    """Let glibc give larger blocks pages of their own.

    A handle's 16 KB of sending buffer, of which a hook fills one, then take one page: 11 MB less for a thousand
    in flight. Other C libraries do as they do.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 16 * 1024)


def run(
    seat: worker_slots.Seat,
    *,
    stop_fd: int | None = None,
    call_successor: Callable[[], object] = lambda: None,
) -> bool:
    """Dispatch until told to stop (False) or until it is time to hand over (True).

    `stop_fd` is readable when it is time to stop. `call_successor` is called once, in another thread, at
    the beginning of a hand-over.
    """
    keep_memory_small()
    return Dispatcher(seat, stop_fd, call_successor).run()
