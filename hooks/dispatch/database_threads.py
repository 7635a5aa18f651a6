"""The dispatcher's database threads (threads.py): one records results, one claims hooks."""

from __future__ import annotations

import contextlib
import time
from collections import deque

import psycopg

from hooks import metrics, worker_slots
from hooks.dispatch import claim, journal, log_lines
from hooks.dispatch.attempts import AttemptResult, ClaimedHook
from hooks.dispatch.catch_up import CatchUp
from hooks.dispatch.record import record_attempts
from hooks.dispatch.threads import DatabaseThread
from hooks.dispatch.wakeup_pipe import WakeupPipe
from hooks.metrics import Counts

SWEEP_SECONDS = 1.0  # between two sweeps


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
