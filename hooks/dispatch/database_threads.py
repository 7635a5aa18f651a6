"""The dispatcher's database threads (threads.py): one records results, one claims hooks, one looks for due lanes."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Collection, Sequence

import psycopg

from hooks import metrics, tracing, worker_slots
from hooks.dispatch import claim, due_lanes, journal, log_lines
from hooks.dispatch.attempts import AttemptResult, ClaimedHook
from hooks.dispatch.catch_up import CatchUp
from hooks.dispatch.dead_dispatchers import DeadDispatchers
from hooks.dispatch.lane_places import Places
from hooks.dispatch.record import record_attempts
from hooks.dispatch.retry_windows import OVERLAP, RetryWindows
from hooks.dispatch.threads import SWEEP_SECONDS, DatabaseThread, SweepingThread
from hooks.dispatch.wakeup_pipe import WakeupPipe
from hooks.metrics import Counts

HEARTBEAT_SECONDS = 1.0  # between two heartbeats
RETRY_PAUSE = 0.02  # s between two looks for due retries at least; claims run between them
# A look for due retries begins so long before the last one, at each heartbeat OVERLAP: they may be recorded late. It
# reads the retries of this time that have been sent, too. With 5 s for each look, behind an old transaction, that was
# 369 pages at 100 retries/s, 26 times a second.
SHORT_OVERLAP = 0.2  # s
# Between two searches of all lanes: so many times what the last one took, up to this time.
SEARCH_PAUSE = 49
MAX_SEARCH_PAUSE_SECONDS = 20.0


class Recorder(DatabaseThread):
    """Writes results."""

    def __init__(
        self,
        owner: int,
        places: Places,
        wakeup: WakeupPipe,
        counts: Counts,
        results_journal: journal.Journal,
    ) -> None:
        super().__init__("recorder", wakeup)
        self.owner = owner  # the dispatcher that has claimed the hooks
        self.places = places  # the claimer's
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
            counted = record_attempts(self.session, results, owner=self.owner, places=self.places)
            self.results_written += len(results)
            self.journal.clear(segment)
            self.recorded.append(results)
            self.strict_lanes.extend({result.hook.endpoint_id for result in results if result.hook.strict})
            self.counts.count(counted)
            self.counts.observe(metrics.RECORD, [time.perf_counter() - began])
            log_lines.log_results(results)
            tracing.export(results)

        self.submit(job)


class Claimer(DatabaseThread):
    """Claims, hands back and sends the heartbeat, in the session that holds the dispatcher's slot."""

    def __init__(self, worker_slot: worker_slots.WorkerSlot, wakeup: WakeupPipe, counts: Counts) -> None:
        super().__init__("claimer", wakeup)
        self.worker_slot = worker_slot
        self.counts = counts
        self.claims: deque[tuple[int, claim.Claim]] = deque()
        self.catch_up = CatchUp()
        self.retry_windows = RetryWindows()
        self.places: Places = {}
        self.queue_starts: dict[int, int] = {}  # of strict lanes: see find_turns()
        self.due_lanes: deque[int] = deque()  # with a due retry
        self.retries_found_at: float | None = None  # by time.monotonic(): they are due since then
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
                self.retry_windows,
                self.places,
                wanted_retries=wanted_retries,
                max_retries=max_retries,
                queue_starts=self.queue_starts,
            )
            self.claims.append((mark, found))
            self.counts.observe(metrics.CLAIM, [time.perf_counter() - began])
            self.counts.observe(metrics.LATENESS, found.seconds_late)
            log_lines.log_claimed(found.hooks)

        self.submit(job)

    def hand_back(self, hooks: list[ClaimedHook]) -> None:
        def job() -> None:
            claim.hand_back(self.worker_slot.session, self.worker_slot.id, hooks)
            self.retry_windows.forget(hook.endpoint_id for hook in hooks)

        self.submit(job)

    def reset_cursors(self, started: dict[int, int]) -> None:
        def job() -> None:
            claim.reset_cursors(self.worker_slot.session, self.worker_slot.id, started)
            self.retry_windows.forget()

        self.submit(job)

    def release_lanes(self, lanes: list[int] | None = None, with_more: Collection[int] = ()) -> None:
        def job() -> None:
            claim.release_lanes(self.worker_slot.session, self.worker_slot.id, lanes, with_more=with_more)
            self.retry_windows.forget(lanes)
            for lane in lanes or ():
                self.places.pop(lane, None)
                self.queue_starts.pop(lane, None)

        self.submit(job)

    def search_whole(self, lanes: list[int]) -> None:
        """Search these lanes for all their due retries, with their next claim."""
        self.submit(lambda: self.retry_windows.forget(lanes))

    def flush_counts(self) -> None:
        self.submit(lambda: self.counts.flush(self.worker_slot.session, self.worker_slot.slot))

    def send_heartbeat(self, in_flight: int) -> None:
        """Write the heartbeat and the counters, and find the retries that are due."""

        def job() -> None:
            self.worker_slot.send_heartbeat(in_flight)
            self.counts.flush(self.worker_slot.session, self.worker_slot.slot)
            self.find_due_retries_now(OVERLAP)

        self.submit(job)

    def find_due_retries(self) -> None:
        """Find the lanes whose retry became due, and the time of the next retry."""
        self.submit(lambda: self.find_due_retries_now(SHORT_OVERLAP))

    def find_due_retries_now(self, overlap: float) -> None:
        began = time.monotonic()
        if self.retries_found_at is not None:  # a sweep finds those that were due before
            within = began - self.retries_found_at + overlap
            self.due_lanes.extend(due_lanes.lanes_of_due_retries(self.worker_slot.session, within))
        self.retries_found_at = began
        seconds = due_lanes.seconds_to_next_retry(self.worker_slot.session)
        self.next_retry = None if seconds is None else max(time.monotonic() + seconds, began + RETRY_PAUSE)


class Sweeper(SweepingThread):
    """Frees the hooks of dead dispatchers and looks for due lanes.

    If the search of all lanes takes long, as behind an old transaction, only that search and the look for dispatchers
    that hang wait: dead dispatchers and the lanes of new hooks are looked for every second.
    """

    def __init__(self, owner: int, places: Places, wakeup: WakeupPipe, counts: Counts) -> None:
        super().__init__(wakeup)
        self.owner = owner
        self.places = places  # the claimer's; its keys are the lanes of this dispatcher
        self.counts = counts
        self.looks = due_lanes.DueLanes()
        self.dead_dispatchers = DeadDispatchers()
        self.next_search_of_all = 0.0  # by time.monotonic()
        self.due_lanes: deque[int] = deque()
        self.lanes_with_late_retries: deque[int] = deque()  # to search whole

    def sweep_and_pause(self) -> None:
        began = time.monotonic()
        if began < self.next_search_of_all:
            super().sweep_and_pause()
            return
        self.free_lanes()
        self.search_all()
        ended = time.monotonic()
        pause = min(SEARCH_PAUSE * (ended - began), MAX_SEARCH_PAUSE_SECONDS)
        self.next_search_of_all = max(began + SWEEP_SECONDS, ended + pause)
        self.next_sweep = began + SWEEP_SECONDS

    def sweep(self) -> None:
        self.free_lanes(self.dead_dispatchers.find(self.session))
        self.due_lanes.extend(self.looks.search_new(self.session, list(self.places)))

    def free_lanes(self, owners: Sequence[int] | None = None) -> None:
        """Free the lanes of dead dispatchers, which may have due hooks; see claim.sweep()."""
        if self.may_take_over:
            freed = claim.sweep(
                self.session, lambda: self.counts.count(journal.record_left(self.session, self.owner)), owners
            )
            self.due_lanes.extend(freed)

    def search_all(self) -> None:
        """Find all lanes with due hooks, and hooks whose lease has expired in a lane with a living owner."""
        if self.may_take_over:
            claim.requeue_expired(self.session)
        self.due_lanes.extend(self.looks.search_all(self.session, self.lanes_with_late_retries.append))
