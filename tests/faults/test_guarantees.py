"""The guarantees of docs/delivery.md under random events, responses, kills, restarts and actions of users.

GUARANTEES_EXAMPLES is the number of scenarios (12), GUARANTEES_SEED selects them (1: the same on every machine).
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, note, seed, settings

from hooks import tallies
from hooks.models import Attempt, Hook, State
from tests.faults.scenario import (
    ChangeDispatchers,
    Dispatchers,
    Emit,
    EndpointAction,
    HookAction,
    LaneOptions,
    LaneRecord,
    ScenarioRun,
    Step,
    Wait,
    scenarios,
)
from tests.faults.scripted_receiver import ScriptedReceiver

EXAMPLES = int(os.environ.get("GUARANTEES_EXAMPLES", "12"))
SEED = int(os.environ.get("GUARANTEES_SEED", "1"))
SETTLED = {State.DELIVERED, State.FAILED, State.SKIPPED, State.CANCELLED, State.RETRYING}

ORDERED = LaneOptions(parallel=False, guaranteed=True)
ONCE = LaneOptions(parallel=False, guaranteed=False)
PARALLEL = LaneOptions(parallel=True, guaranteed=True)
EVERYTHING = (
    (ORDERED, ONCE, PARALLEL),
    (
        ChangeDispatchers("join"),
        Emit(0, (("ok",), ("500", "ok"), ("slow",), ("429", "500", "ok"), ("ok",)) * 4),
        Emit(1, (("ok",), ("slow",), ("reset",), ("500",), ("ok",)) * 4),
        Emit(2, (("slow",), ("ok",), ("hang", "ok"), ("410",)) * 5),
        Wait(100),
        ChangeDispatchers("kill"),
        HookAction("cancel", 0, 18),
        HookAction("skip", 1, 17),
        EndpointAction("move", 0),
        EndpointAction("pause", 2),
        Wait(200),
        EndpointAction("resume", 2),
        HookAction("resend", 1, 0),
        EndpointAction("remove url", 1),
        ChangeDispatchers("stop"),
        Emit(0, (("slow",),) * 10),
        Wait(100),
        ChangeDispatchers("kill"),
        Emit(1, (("ok",),) * 10),
    ),
)


@pytest.fixture
def receiver() -> Iterator[ScriptedReceiver]:
    with ScriptedReceiver() as receiver:
        yield receiver


@pytest.fixture
def dispatchers(checked: None, tmp_path: Path) -> Iterator[Dispatchers]:
    with ExitStack() as held:
        made = Dispatchers(tmp_path, held)
        yield made
        made.wait_for_all()  # before that, a SIGTERM would end Python without a handler


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # a scenario is short; to find a shorter one would take minutes
    suppress_health_check=list(HealthCheck),  # all scenarios share the fixtures on purpose
)
@example(EVERYTHING)
@given(scenarios)
def test_the_guarantees_hold_in_random_scenarios(
    receiver: ScriptedReceiver,
    dispatchers: Dispatchers,
    scenario: tuple[tuple[LaneOptions, ...], tuple[Step, ...]],
) -> None:
    note(f"GUARANTEES_SEED={SEED} GUARANTEES_EXAMPLES={EXAMPLES}")
    lane_options, steps = scenario
    run = ScenarioRun(lane_options, receiver, dispatchers)
    for step in steps:
        run.perform(step)
    run.settle()
    for lane in run.lanes:
        assert_nothing_is_lost(run, lane)
        assert_at_least_once(run, lane)
        assert_order(run, lane)
        assert_attempts(run, lane)
    run.clear()


def now(lane: LaneRecord) -> list[Hook]:
    """Returns the lane's hooks as stored, in the order of their events."""
    return list(lane.endpoint.hooks.order_by("id"))


def assert_nothing_is_lost(run: ScenarioRun, lane: LaneRecord) -> None:
    """1: each emitted hook is stored, and needs no attempt now."""
    assert [hook.pk for hook in now(lane)] == [hook.pk for hook in lane.hooks]
    assert tallies.emitted([lane.endpoint.pk]) == {lane.endpoint.pk: len(lane.hooks)}
    assert {hook.state for hook in now(lane)} <= SETTLED


def assert_at_least_once(run: ScenarioRun, lane: LaneRecord) -> None:
    """2: each delivered hook was received and got a 200, always with the same id."""
    arrivals = run.receiver.arrivals[lane.name]
    for hook in now(lane):
        if hook.state == State.DELIVERED:
            assert hook.webhook_id in run.receiver.responded_200
    ids = [hook.webhook_id for hook in lane.hooks]
    assert [arrival.webhook_id for arrival in arrivals] == [ids[arrival.n] for arrival in arrivals]
    if not run.kills:  # and every 200 was recorded
        for hook in now(lane):
            if hook.webhook_id in run.receiver.responded_200 and hook.pk not in lane.ended_by_user:
                assert hook.state == State.DELIVERED


def assert_order(run: ScenarioRun, lane: LaneRecord) -> None:
    """3: an ordered lane has one first attempt in flight at a time and one retry beside it; first attempts are in the
    order of the events. No attempt is late here: the deadline is earlier.
    """
    at_arrivals = run.receiver.at_arrivals[lane.name]
    if lane.options.parallel:
        assert max(map(len, at_arrivals), default=0) <= 16
        return
    resent = {hook.webhook_id for hook in lane.hooks if hook.pk in lane.resent}
    for in_flight in at_arrivals:
        # a resend is a retry, whatever its number; the first attempt of a hook that was cancelled may still run
        unclear = sum(one.attempt == 1 and one.webhook_id in resent for one in in_flight)
        retries = sum(one.attempt > 1 for one in in_flight)
        assert len(in_flight) - retries - unclear <= 1
        assert retries <= 1
        assert len(in_flight) <= 2
    first = [
        arrival.n
        for arrival in run.receiver.arrivals[lane.name]
        if arrival.attempt == 1 and arrival.webhook_id not in resent
    ]
    first_of_each = list(dict.fromkeys(first))  # after a kill one may arrive twice
    assert first_of_each == sorted(first_of_each)


def assert_attempts(run: ScenarioRun, lane: LaneRecord) -> None:
    """4: attempts are no more than allowed, each is logged, and none is sent twice unless a dispatcher was killed."""
    received: dict[str, Counter[int]] = {hook.webhook_id: Counter() for hook in lane.hooks}
    for arrival in run.receiver.arrivals[lane.name]:
        received[arrival.webhook_id][arrival.attempt] += 1
    logged: dict[int, Counter[int]] = {hook.pk: Counter() for hook in lane.hooks}
    for key, number in Attempt.objects.filter(hook__endpoint=lane.endpoint).values_list("hook_id", "number"):
        logged[key][number] += 1
    for hook in now(lane):
        numbers = received[hook.webhook_id]
        assert max(numbers, default=0) <= hook.attempts_allowed
        if hook.state == State.FAILED:
            assert hook.attempts_made == hook.attempts_allowed or hook.last_status == 410
        if hook.pk in lane.resent:
            continue  # cancelled in flight and then resent, an attempt's number is used again
        assert hook.attempts_allowed == (20 if lane.options.guaranteed else 1)
        if not run.kills:
            assert set(numbers.values()) <= {1}
            assert set(numbers) <= set(logged[hook.pk])
        else:
            assert max(numbers.values(), default=0) <= 1 + run.kills
