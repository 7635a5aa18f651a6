"""The dispatcher's three threads that talk to the database, so that the one that sends never waits for it.

Each has a session of its own and gets its jobs from, and hands its results to, the sending thread through
plain queues and a pipe that wakes it. A session that breaks (PostgreSQL restarted) is made anew, with
pauses, until it works; a job that was under way is done again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import psycopg
from django.db import OperationalError, connections

from hooks import metrics, worker_slots
from hooks.dispatch import claim, log_lines
from hooks.dispatch.attempts import AttemptResult, ClaimedHook
from hooks.dispatch.catch_up import CatchUp
from hooks.dispatch.record import record
from hooks.metrics import Counts
from hooks.models import State
from hooks.outbox import CHANNEL

log = logging.getLogger(__name__)

SWEEP_EVERY = 1.0  # s


class Bell:
    """A pipe that wakes a select(); ringing it twice before it is heard costs nothing."""

    def __init__(self) -> None:
        self.fd, self._end = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._end, False)
        self._rung = False

    def ring(self) -> None:
        if not self._rung:
            self._rung = True
            with contextlib.suppress(BlockingIOError):
                os.write(self._end, b"!")

    def heard(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)
        self._rung = False

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._end)


class DatabaseThread(threading.Thread):
    """Runs jobs one after the other on a session of its own."""

    def __init__(self, name: str, bell: Bell) -> None:
        super().__init__(name=name, daemon=True)
        self.bell = bell
        self.jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.submitted = 0  # counted by the sending thread alone …
        self.done = 0  # … and by this one alone, so neither count is ever wrong
        self.fault: Exception | None = None  # what ended this thread
        self.give_up_at: float | None = (
            None  # by time.monotonic(): after that a broken database is not waited for
        )

    @property
    def busy(self) -> bool:
        return self.submitted != self.done

    def submit(self, job: Callable[[], None]) -> None:
        self.submitted += 1
        self.jobs.put(job)

    def end(self) -> None:
        """Do what is in the queue, then end; wait for it."""
        self.jobs.put(None)
        self.join(timeout=10)

    def run(self) -> None:
        try:
            while (job := self.jobs.get()) is not None:
                self.until_done(job)
                self.done += 1
                self.bell.ring()  # only now: who hears it finds this thread free
        except Exception as error:  # the sending thread raises it: no dispatcher without its threads
            log.exception("%s ends by a fault", self.name)
            self.fault = error
            self.bell.ring()
        finally:
            connections.close_all()

    def until_done(self, job: Callable[[], None]) -> None:
        pause = 0.1
        while True:
            try:
                job()
                return
            except (psycopg.OperationalError, OperationalError) as error:
                connections.close_all()  # a job may have used Django's session
                log.warning(
                    "%s: the database is away (%s); trying again",
                    self.name,
                    str(error).strip().split("\n")[0],
                )
            while True:
                if self.give_up_at is not None and time.monotonic() > self.give_up_at:
                    return
                time.sleep(pause)
                pause = min(pause * 2, 2.0)
                try:
                    self.reconnect()
                    break
                except psycopg.OperationalError:
                    continue

    def reconnect(self) -> None:
        raise NotImplementedError


class Recorder(DatabaseThread):
    """Writes results."""

    def __init__(self, bell: Bell, counts: Counts) -> None:
        super().__init__("recorder", bell)
        self.counts = counts
        self.session = worker_slots.connect()
        self.handed = 0  # results, counted by the sending thread …
        self.written = 0  # … and by this one

    @property
    def unwritten(self) -> int:
        return self.handed - self.written

    def reconnect(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self.session.close()
        self.session = worker_slots.connect()

    def write(self, results: list[AttemptResult]) -> None:
        self.handed += len(results)

        def job() -> None:
            began = time.perf_counter()
            counted = record(self.session, results)
            self.written += len(results)
            self.counts.count(counted)
            self.counts.observe(metrics.RECORD, [time.perf_counter() - began])
            log_lines.recorded(results)

        self.submit(job)


class Claimer(DatabaseThread):
    """Claims, puts back, sweeps and beats, on the session that holds the dispatcher's seat."""

    def __init__(self, seat: worker_slots.Seat, bell: Bell, counts: Counts) -> None:
        super().__init__("claimer", bell)
        self.seat = seat
        self.counts = counts
        self.claims: deque[tuple[int, claim.Claim]] = deque()
        self.catch_up = CatchUp()
        self.waiting: deque[int] = deque()  # lanes that a sweep has found
        self.next_due: float | None = None  # by time.monotonic()
        self.lost_slot = False
        self.came_back = False  # the database was away: what is at hand may be somebody else's by now

    def reconnect(self) -> None:
        self.lost_slot = not self.seat.regain() or self.lost_slot
        self.came_back = True

    def claim(self, wanted: dict[int, int], mark: int, max_retries: int) -> None:
        """What it brings comes back in `claims` with the caller's mark."""

        def job() -> None:
            began = time.perf_counter()
            found = claim.claim_hooks(
                self.seat.session, self.seat.id, wanted, self.catch_up, max_retries=max_retries
            )
            self.claims.append((mark, found))
            self.counts.observe(metrics.CLAIM, [time.perf_counter() - began])
            self.counts.observe(metrics.LATENESS, found.seconds_late)
            log_lines.claimed(found.hooks)
            if found.skipped:
                self.counts.count({(metrics.FINISHED, State.SKIPPED.value): found.skipped})

        self.submit(job)

    def hand_back(self, hooks: list[ClaimedHook]) -> None:
        self.submit(lambda: claim.hand_back(self.seat.session, hooks))

    def release_lanes(self, lanes: list[int] | None = None) -> None:
        self.submit(lambda: claim.release_lanes(self.seat.session, self.seat.id, lanes))

    def flush_counts(self) -> None:
        self.submit(lambda: self.counts.flush(self.seat.session, self.seat.slot))

    def look_around(self, in_flight: int) -> None:
        """The heartbeat and the measures, the sweep, the lanes that wait, and when the next retry is due."""

        def job() -> None:
            self.seat.beat(in_flight)
            self.counts.flush(self.seat.session, self.seat.slot)
            claim.sweep(self.seat.session)
            self.waiting.extend(claim.due_lanes(self.seat.session))
            seconds = claim.seconds_to_next_retry(self.seat.session)
            self.next_due = None if seconds is None else time.monotonic() + seconds

        self.submit(job)


class Listener(threading.Thread):
    """Hears PostgreSQL's NOTIFY: which lanes have something new."""

    def __init__(self, bell: Bell) -> None:
        super().__init__(name="listener", daemon=True)
        self.bell = bell
        self.lanes: deque[int] = deque()
        self.session: psycopg.Connection[Any] | None = None
        self.ending = False

    def run(self) -> None:
        pause = 0.1
        while not self.ending:
            try:
                self.session = worker_slots.connect()
                self.session.execute(f"LISTEN {CHANNEL}")
                pause = 0.1
                while not self.ending:
                    for note in self.session.notifies(timeout=0.3):  # so a stop waits no longer
                        if note.payload.isdigit():
                            self.lanes.append(int(note.payload))
                            self.bell.ring()
            except (psycopg.Error, OSError):
                time.sleep(pause)  # meanwhile the sweep finds what is new, every second
                pause = min(pause * 2, 2.0)
        if self.session is not None:
            self.session.close()
