"""What the ends of tries mean for their lanes, and the batches in which they are recorded."""

from __future__ import annotations

import time

from hooks.http import Response
from hooks.metrics import Counts
from hooks.models import Outcome
from instances.actions.sending.record import FailedMessage, QueueWait, Recorded, RetriedMessage, SentMessage
from instances.channels.requests import Failed, Result, Scope, Wait
from instances.sending import metrics, tries
from instances.sending.database_threads import Recorder, monotonic
from instances.sending.lanes import Lanes
from instances.sending.owned_queues import OwnedQueues
from instances.sending.tries import Ended, OwnedQueue, Sending

TRY_AGAIN_SECONDS = 1.0  # after which a message or result that was locked is tried again
BATCH = 500  # results written at once …
BATCH_SECONDS = 0.05  # … or after this time, whichever is first
MAX_UNWRITTEN = 4 * BATCH  # results waiting for the database; with more, nothing is started
RESULT_LABELS: dict[type[Recorded], str] = {
    SentMessage: metrics.SENT,
    FailedMessage: metrics.FAILED,
    RetriedMessage: metrics.RETRIED,
}


class Results:
    """The results that are to be recorded, and what follows when they are."""

    def __init__(self, owned: OwnedQueues, lanes: Lanes, recorder: Recorder, counts: Counts) -> None:
        self.owned = owned
        self.lanes = lanes
        self.recorder = recorder
        self.counts = counts
        self.results: list[Ended] = []
        self.waits: dict[int, QueueWait] = {}  # of queues, to be written with the results
        self.write_due = 0.0  # by time.monotonic()
        self.next_put_off = 0.0

    @property
    def are_too_many(self) -> bool:
        """Returns whether so many results wait for the database that nothing may be started."""
        return len(self.results) + self.recorder.unwritten >= MAX_UNWRITTEN

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
            lane.drop_waiting()
        if isinstance(result, Wait | Failed) and (queue.link.stream_url or response is None):
            self.owned.to_read_again[lane.key] = None  # the connection may be another receiver's now
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
            self.lanes.end(lane, ended.outgoing.pk)
            ended.has_left = True

    def collect_recorded(self) -> None:
        """Take over what the recorder has recorded."""
        while self.recorder.recorded:
            for ended in self.recorder.recorded.popleft():
                self.note_recorded(ended)

    def note_recorded(self, ended: Ended) -> None:
        lane, recorded = ended.queue.lane, ended.recorded
        if ended.has_left:
            lane.unrecorded.discard(ended.outgoing.pk)
            # it was carried out in this process, or could not be recorded
            if isinstance(recorded, RetriedMessage):
                lane.note_missing()
                self.owned.to_read_again[lane.key] = None
        elif isinstance(recorded, RetriedMessage):
            self.lanes.put_back(
                lane, ended.outgoing.pk, monotonic(recorded.next_try_at) if recorded.next_try_at else 0.0
            )
            if ended.unlinked:  # or linked again, by other credentials
                self.owned.to_read_again[lane.key] = None
            if lane.is_local and ended.is_fault:
                self.note_health(ended, time.monotonic())
        else:
            self.lanes.end(lane, ended.outgoing.pk)
            if lane.is_local:
                self.note_health(ended, time.monotonic())
        if recorded is not None:
            result = RESULT_LABELS[type(recorded)]
            by_channel = metrics.BY_CHANNEL[result], ended.queue.instance.channel
            self.counts.count({(metrics.RESULTS, result): 1, by_channel: 1})

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
        if self.results or self.waits:
            self.recorder.write(self.results, self.waits)
            self.results, self.waits = [], {}
