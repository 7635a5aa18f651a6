"""The dispatcher's three database threads: the thread that sends never waits for the database.

Each has a session of its own. The sending thread submits jobs and reads results through plain queues; a pipe wakes it.
A broken session (PostgreSQL was restarted) is opened again, with pauses, until it works; the interrupted job then runs
again.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import psycopg
from django.db import OperationalError, connections

from hooks import metrics, worker_slots
from hooks.dispatch import claim, journal, log_lines
from hooks.dispatch.attempts import AttemptResult, ClaimedHook
from hooks.dispatch.catch_up import CatchUp
from hooks.dispatch.record import record_attempts
from hooks.dispatch.wakeup_pipe import WakeupPipe
from hooks.metrics import Counts
from hooks.outbox import CHANNEL

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0  # between two sweeps


class DatabaseThread(threading.Thread):
    """Runs jobs one after the other in a session of its own."""

    def __init__(self, name: str, wakeup: WakeupPipe) -> None:
        super().__init__(name=name, daemon=True)
        self.wakeup = wakeup
        self.jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.submitted = 0  # written by the sending thread only …
        self.done = 0  # … and by this thread only, so both are always right without a lock
        self.error: Exception | None = None  # that ended this thread
        # by time.monotonic(): from then on a job is dropped if the database does not respond
        self.retry_until: float | None = None

    @property
    def busy(self) -> bool:
        return self.submitted != self.done

    def submit(self, job: Callable[[], None]) -> None:
        self.submitted += 1
        self.jobs.put(job)

    def end(self) -> None:
        """Run the submitted jobs, then end; waits for it."""
        self.jobs.put(None)
        self.join(timeout=10)

    def run(self) -> None:
        try:
            while (job := self.jobs.get()) is not None:
                self.run_until_done(job)
                self.done += 1
                self.wakeup.wake()  # after the count: the sending thread must find this thread free
        except Exception as error:  # the sending thread raises it: a dispatcher without its threads must end
            log.exception("%s ended with an error", self.name)
            self.error = error
            self.wakeup.wake()
        finally:
            connections.close_all()

    def run_until_done(self, job: Callable[[], None]) -> None:
        pause = 0.1
        while True:
            try:
                job()
                return
            except (psycopg.OperationalError, OperationalError) as error:
                connections.close_all()  # a job may have used Django's session
                log.warning(
                    "%s: the database does not respond (%s); trying again",
                    self.name,
                    str(error).strip().split("\n")[0],
                )
            while True:
                if self.retry_until is not None and time.monotonic() > self.retry_until:
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

    def __init__(
        self, owner: int, wakeup: WakeupPipe, counts: Counts, results_journal: journal.Journal
    ) -> None:
        super().__init__("recorder", wakeup)
        self.owner = owner  # the dispatcher that has claimed the hooks
        self.counts = counts
        self.journal = results_journal
        self.recorded: deque[list[AttemptResult]] = deque()
        self.session = worker_slots.connect()
        self.results_submitted = 0  # written by the sending thread only …
        self.results_written = 0  # … and by this thread only
        self.strict_lanes: deque[int] = (
            deque()
        )  # strict lanes with a recorded result: they can be claimed again

    @property
    def unwritten(self) -> int:
        return self.results_submitted - self.results_written

    def reconnect(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self.session.close()
        self.session = worker_slots.connect()

    def write(self, results: list[AttemptResult], segment: journal.Segment | None = None) -> None:
        """Record results; `segment` is their file in the journal, which is emptied then."""
        self.results_submitted += len(results)

        def job() -> None:
            began = time.perf_counter()
            counted = record_attempts(self.session, results, owner=self.owner)
            self.results_written += len(results)
            self.journal.clear(segment)
            self.recorded.append(results)
            self.strict_lanes.extend({result.hook.endpoint_id for result in results if result.hook.strict})
            self.counts.count(counted)
            self.counts.observe(metrics.RECORD, [time.perf_counter() - began])
            log_lines.log_results(results)

        self.submit(job)


class Claimer(DatabaseThread):
    """Claims, hands back, sweeps and sends the heartbeat, in the session that holds the dispatcher's slot."""

    def __init__(self, worker_slot: worker_slots.WorkerSlot, wakeup: WakeupPipe, counts: Counts) -> None:
        super().__init__("claimer", wakeup)
        self.worker_slot = worker_slot
        self.counts = counts
        self.claims: deque[tuple[int, claim.Claim]] = deque()
        self.catch_up = CatchUp()
        self.due_lanes: deque[int] = deque()  # found by a sweep
        self.next_retry: float | None = None  # by time.monotonic()
        self.lost_slot = False
        self.reconnected = False  # the claimed hooks may belong to another dispatcher by now
        self.commit_asynchronously()

    def reconnect(self) -> None:
        self.lost_slot = not self.worker_slot.reacquire() or self.lost_slot
        self.commit_asynchronously()
        self.reconnected = True

    def commit_asynchronously(self) -> None:
        """Commit without waiting for the disk or a standby: a claim that a crash loses is made again."""
        self.worker_slot.session.execute("SET synchronous_commit = off")

    def claim(
        self, wanted: dict[int, int], wanted_retries: dict[int, int], *, mark: int, max_retries: int
    ) -> None:
        """Claim hooks; the result is added to `claims` with the caller's mark."""

        def job() -> None:
            began = time.perf_counter()
            found = claim.claim_hooks(
                self.worker_slot.session,
                self.worker_slot.id,
                wanted,
                self.catch_up,
                wanted_retries=wanted_retries,
                max_retries=max_retries,
            )
            self.claims.append((mark, found))
            self.counts.observe(metrics.CLAIM, [time.perf_counter() - began])
            self.counts.observe(metrics.LATENESS, found.seconds_late)
            log_lines.log_claimed(found.hooks)

        self.submit(job)

    def hand_back(self, hooks: list[ClaimedHook]) -> None:
        self.submit(lambda: claim.hand_back(self.worker_slot.session, self.worker_slot.id, hooks))

    def reset_cursors(self, started: dict[int, int]) -> None:
        self.submit(lambda: claim.reset_cursors(self.worker_slot.session, self.worker_slot.id, started))

    def release_lanes(self, lanes: list[int] | None = None) -> None:
        self.submit(lambda: claim.release_lanes(self.worker_slot.session, self.worker_slot.id, lanes))

    def flush_counts(self) -> None:
        self.submit(lambda: self.counts.flush(self.worker_slot.session, self.worker_slot.slot))

    def heartbeat_and_sweep(self, in_flight: int) -> None:
        """Write the heartbeat and the counters, free orphaned hooks, find the due lanes and the next retry."""

        def job() -> None:
            session = self.worker_slot.session
            self.worker_slot.send_heartbeat(in_flight)
            self.counts.flush(session, self.worker_slot.slot)
            claim.sweep(session, lambda: self.counts.count(journal.record_left(session, self.worker_slot.id)))
            self.due_lanes.extend(claim.due_lanes(session))
            seconds = claim.seconds_to_next_retry(session)
            self.next_retry = None if seconds is None else time.monotonic() + seconds

        self.submit(job)


class Listener(threading.Thread):
    """Opens the session that receives PostgreSQL's notifications: the lanes with new hooks.

    The sending thread reads them with read(), as another thread between would delay each wake-up.
    """

    def __init__(self, wakeup: WakeupPipe) -> None:
        super().__init__(name="listener", daemon=True)
        self.wakeup = wakeup
        self.session: psycopg.Connection[Any] | None = None  # None while it is being opened
        self.is_broken = threading.Event()
        self.ending = False

    def run(self) -> None:
        pause = 0.1
        while not self.ending:
            session = None
            try:
                session = worker_slots.connect()
                session.execute(f"LISTEN {CHANNEL}")
                pause = 0.1
                self.is_broken.clear()
                if not self.ending:  # end() sets both, in this order
                    self.session = session
                    self.wakeup.wake()
                    self.is_broken.wait()
            except (psycopg.Error, OSError):
                time.sleep(pause)  # meanwhile the sweep finds new hooks every second
                pause = min(pause * 2, 2.0)
            finally:
                if session is not None:
                    session.close()

    def read(self) -> list[int]:
        """Returns the lanes whose notifications have arrived, without waiting. Opens a broken session again."""
        lanes: list[int] = []
        if self.session is None:
            return lanes
        try:
            self.session.pgconn.consume_input()
            while (note := self.session.pgconn.notifies()) is not None:
                if note.extra.isdigit():
                    lanes.append(int(note.extra))
        except psycopg.Error:
            self.session = None
            self.is_broken.set()
        return lanes

    def end(self) -> None:
        """End the thread, which closes the session."""
        self.ending = True
        self.is_broken.set()
