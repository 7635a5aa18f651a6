"""The order and the limits of lanes, for any mix of durations, failures and retries, on a clock of the test's own."""

from __future__ import annotations

import dataclasses
import enum
import heapq
from collections.abc import Callable
from functools import partial
from itertools import count
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooks.dispatch import lanes as module
from hooks.dispatch.attempts import ClaimedHook
from hooks.dispatch.lanes import LATE_SECONDS, MAX_WITH_LATE, PARALLEL_WIDTH, Lanes
from hooks.models import Trigger

DEADLINE = 10.0
RECORD_SECONDS = 0.05  # until a result is in the database
RETRY_SECONDS = 5.0
ROUNDING = 1e-6  # s: sums of times differ in their last bits


class Mode(enum.Enum):
    ORDERED = "ordered"
    STRICT = "strict"
    PARALLEL = "parallel"


class State(enum.Enum):
    QUEUED = "queued"
    SENDING = "sending"
    RETRYING = "retrying"
    FINISHED = "finished"


@dataclasses.dataclass
class Row:
    """A hook as the database has it. `durations` are the seconds of its attempts; the last one succeeds."""

    id: int
    lane: int
    created: float
    durations: list[float]
    state: State = State.QUEUED
    made: int = 0
    due: float = 0.0
    began: float = 0.0  # the attempt in flight, or the last one

    @property
    def is_last(self) -> bool:
        return self.made == len(self.durations)


class Site:
    """One dispatcher's lanes over a table of hooks; claims follow the rules of claim.py and strict_order.py."""

    def __init__(self, modes: list[Mode], rows: list[Row], max_in_flight: int) -> None:
        self.now = 1000.0
        self.modes, self.rows = modes, {row.id: row for row in rows}
        self.lanes = Lanes(max_in_flight)
        self.serial = count()
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.started: list[int] = []  # ids, in the order of their attempts
        self.in_flight: dict[int, ClaimedHook] = {}
        for row in rows:
            self.at(row.created, lambda: None)

    def at(self, time: float, call: Callable[[], None]) -> None:
        heapq.heappush(self.events, (time, next(self.serial), call))

    def of_lane(self, lane: int) -> list[Row]:
        return [row for row in self.rows.values() if row.lane == lane and row.created <= self.now]

    def claim(self) -> None:
        for lane, mode in enumerate(self.modes):
            rows = self.of_lane(lane)
            queued = [row for row in rows if row.state is State.QUEUED]
            retries = [row for row in rows if row.state is State.RETRYING]
            due = sorted((row for row in retries if row.due <= self.now), key=lambda row: row.due)
            wanted, wanted_retries = (
                self.lanes.hooks_to_claim(lane),
                self.lanes.retries_of_lane_to_claim(lane),
            )
            if mode is Mode.STRICT:
                oldest = retries[0].id if retries else len(self.rows) + 1
                queued = [row for row in queued if row.id < oldest]
                if any(row.state is State.SENDING for row in rows):
                    queued, due = [], []
                elif queued:
                    due = []
                else:
                    due = [row for row in due if row.id == oldest]
            claimed = queued[:wanted] + due[: min(wanted_retries, self.lanes.retries_to_claim())]
            for row in claimed:
                row.state = State.SENDING
            self.lanes.add([self.claimed(row, mode) for row in sorted(claimed, key=lambda row: row.id)])

    def claimed(self, row: Row, mode: Mode) -> ClaimedHook:
        return ClaimedHook(
            id=row.id, webhook_id="hook_x", endpoint_id=row.lane, body=b"{}", claim=1, attempts_made=row.made,
            attempts_allowed=20, trigger=Trigger.RETRY if row.made else Trigger.EVENT, simulated=False, url="",
            secret="", parallel=mode is Mode.PARALLEL, strict=mode is Mode.STRICT, lease_ends=0.0,
        )  # fmt: skip

    def send(self) -> None:
        self.lanes.release_late()
        for hook in self.lanes.next_hooks():
            row = self.rows[hook.id]
            self.check_order(row)
            row.began = self.now
            self.started.append(row.id)
            self.in_flight[hook.id] = hook
            self.check_limits(row.lane)
            self.at(self.now + min(row.durations[row.made], DEADLINE), partial(self.finish, hook))

    def finish(self, hook: ClaimedHook) -> None:
        row = self.rows[hook.id]
        seconds = min(row.durations[row.made], DEADLINE)
        row.made += 1
        del self.in_flight[hook.id]
        lane = self.lanes.finish(hook)
        if hook.strict and not row.is_last:  # as in loop.add_result()
            for unsent in self.lanes.empty_buffer(lane):
                waiting = self.rows[unsent.id]
                waiting.state = State.RETRYING if waiting.made else State.QUEUED
        if hook.is_retry and not hook.parallel and not hook.strict:
            lane.adapt_retries(seconds)
        else:
            lane.adapt(seconds, in_time=seconds < DEADLINE)
        self.at(self.now + RECORD_SECONDS, lambda: self.record(row))

    def record(self, row: Row) -> None:
        row.state = State.FINISHED if row.is_last else State.RETRYING
        if not row.is_last:
            row.due = self.now + RETRY_SECONDS
            self.at(row.due, lambda: None)

    def run(self) -> None:
        """Runs until all hooks are finished. Fails if nothing more happens before that."""
        with mock.patch.object(module, "time", SimpleNamespace(monotonic=lambda: self.now)):
            while any(row.state is not State.FINISHED for row in self.rows.values()):
                self.claim()
                self.send()
                times = [self.events[0][0]] if self.events else []
                times += [self.lanes.next_late] if self.lanes.next_late is not None else []
                assert times, "hooks wait, and nothing will happen"
                self.now = max(self.now, min(times))
                while self.events and self.events[0][0] <= self.now:
                    heapq.heappop(self.events)[2]()

    def check_order(self, row: Row) -> None:
        """Fails if this attempt may not start now: an older hook of its lane is in its way."""
        mode = self.modes[row.lane]
        older = [other for other in self.of_lane(row.lane) if other.id < row.id and not other.is_last]
        if mode is Mode.STRICT:
            assert older == []
        elif mode is Mode.ORDERED and row.made == 0:
            for other in older:
                is_retry = other.made > 0
                is_late = other.id in self.in_flight and self.now - other.began > LATE_SECONDS - ROUNDING
                assert is_retry or is_late, f"{row} overtakes {other}"

    def check_limits(self, lane: int) -> None:
        of_lane = [hook for hook in self.in_flight.values() if hook.endpoint_id == lane]
        retries = [hook for hook in self.in_flight.values() if hook.is_retry]
        assert len(self.in_flight) == self.lanes.in_flight <= self.lanes.max_in_flight
        assert len(retries) <= self.lanes.max_retries_in_flight
        match self.modes[lane]:
            case Mode.STRICT:
                assert len(of_lane) == 1
            case Mode.PARALLEL:
                assert len(of_lane) <= PARALLEL_WIDTH
            case Mode.ORDERED:
                lane_retries = [hook for hook in of_lane if hook.is_retry]
                assert len(lane_retries) <= 1
                assert len(of_lane) - len(lane_retries) <= MAX_WITH_LATE + 1


durations = st.one_of(
    st.floats(0.001, 0.1),
    st.floats(0.1, LATE_SECONDS - 0.01),
    st.floats(LATE_SECONDS, DEADLINE),
    st.just(60.0),
)
hook_rows = st.tuples(st.integers(0, 2), st.floats(0, 5), st.lists(durations, min_size=1, max_size=3))


@st.composite
def sites(draw: st.DrawFn) -> Site:
    modes = draw(st.lists(st.sampled_from(Mode), min_size=3, max_size=3))
    drawn = draw(st.lists(hook_rows, min_size=1, max_size=40))
    created = 1000.0
    rows = []
    for key, (lane, pause, attempts) in enumerate(drawn, start=1):
        created += pause if key % 4 == 0 else 0  # bursts of four
        rows.append(Row(key, lane, created, attempts))
    return Site(modes, rows, draw(st.integers(2, 20)))


@given(sites())
@settings(max_examples=150)
def test_lanes_keep_their_order_and_limits_and_finish(site: Site) -> None:
    site.run()
    for lane, mode in enumerate(site.modes):
        started = list(dict.fromkeys(row_id for row_id in site.started if site.rows[row_id].lane == lane))
        assert len(started) == sum(row.lane == lane for row in site.rows.values())
        if mode is not Mode.PARALLEL:
            assert started == sorted(started)  # the first attempts


def test_an_attempt_that_overtakes_is_noticed() -> None:
    """The check itself: with a lane's buffer in the wrong order, the same run fails."""
    rows = [Row(key, 0, 1000.0, [0.01]) for key in (1, 2)]
    site = Site([Mode.ORDERED], rows, 10)
    site.lanes.add = lambda hooks: Lanes.add(site.lanes, hooks[::-1])  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="overtakes"):
        site.run()
