"""Random events, answers, kills, restarts and people's clicks against the promises of docs/delivery.md.

PROMISES_EXAMPLES says how many stories are played (12), PROMISES_SEED which ones (1: the same on every machine).
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, note, seed, settings

from hooks.models import Attempt, Hook, State
from tests.faults.scenario import Crew, Dispatchers, Do, Emit, LaneIs, Set, Stage, Step, Told, Wait, stories
from tests.faults.scripted_receiver import Scripted

EXAMPLES = int(os.environ.get("PROMISES_EXAMPLES", "12"))
SEED = int(os.environ.get("PROMISES_SEED", "1"))
AT_REST = {State.DELIVERED, State.FAILED, State.SKIPPED, State.CANCELLED, State.RETRYING}

ORDERED = LaneIs(parallel=False, guaranteed=True)
ONCE = LaneIs(parallel=False, guaranteed=False)
PARALLEL = LaneIs(parallel=True, guaranteed=True)
EVERYTHING = (
    (ORDERED, ONCE, PARALLEL),
    (
        Crew("join"),
        Emit(0, (("ok",), ("500", "ok"), ("slow",), ("429", "500", "ok"), ("ok",)) * 4),
        Emit(1, (("ok",), ("slow",), ("reset",), ("500",), ("ok",)) * 4),
        Emit(2, (("slow",), ("ok",), ("hang", "ok"), ("410",)) * 5),
        Wait(100),
        Crew("kill"),
        Do("cancel", 0, 18),
        Do("skip", 1, 17),
        Set("move", 0),
        Set("pause", 2),
        Wait(200),
        Set("resume", 2),
        Do("resend", 1, 0),
        Set("address away", 1),
        Crew("stop"),
        Emit(0, (("slow",),) * 10),
        Wait(100),
        Crew("kill"),
        Emit(1, (("ok",),) * 10),
    ),
)


@pytest.fixture
def receiver() -> Iterator[Scripted]:
    with Scripted() as receiver:
        yield receiver


@pytest.fixture
def dispatchers(checked: None, tmp_path: Path) -> Iterator[Dispatchers]:
    with ExitStack() as held:
        made = Dispatchers(tmp_path, held)
        yield made
        made.wait_for_all()  # a SIGTERM before that would end Python itself


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # a story is short; a shorter one would take minutes to be found
    suppress_health_check=list(HealthCheck),  # the fixtures are shared by all stories on purpose
)
@example(EVERYTHING)
@given(stories)
def test_whatever_happens_the_promises_hold(
    receiver: Scripted, dispatchers: Dispatchers, story: tuple[tuple[LaneIs, ...], tuple[Step, ...]]
) -> None:
    note(f"PROMISES_SEED={SEED} PROMISES_EXAMPLES={EXAMPLES}")
    natures, steps = story
    stage = Stage(natures, receiver, dispatchers)
    for step in steps:
        stage.play(step)
    stage.settle()
    for lane in stage.lanes:
        assert_nothing_is_lost(stage, lane)
        assert_at_least_once(stage, lane)
        assert_order(stage, lane)
        assert_attempts(stage, lane)
    stage.clear()


def now(lane: Told) -> list[Hook]:
    """The lane's hooks as they are now, in the order of their events."""
    return list(lane.endpoint.hooks.order_by("id"))


def assert_nothing_is_lost(stage: Stage, lane: Told) -> None:
    """1: each emitted hook is there, and has come to rest."""
    assert [hook.pk for hook in now(lane)] == [hook.pk for hook in lane.hooks]
    lane.endpoint.tally.refresh_from_db()
    assert lane.endpoint.tally.emitted == len(lane.hooks)
    assert {hook.state for hook in now(lane)} <= AT_REST


def assert_at_least_once(stage: Stage, lane: Told) -> None:
    """2: what counts as delivered was received and answered with 200, always under its one id."""
    arrivals = stage.receiver.arrivals[lane.name]
    for hook in now(lane):
        if hook.state == State.DELIVERED:
            assert hook.webhook_id in stage.receiver.answered_200
    ids = [hook.webhook_id for hook in lane.hooks]
    assert [arrival.webhook_id for arrival in arrivals] == [ids[arrival.n] for arrival in arrivals]
    if not stage.kills:  # nor did a 200 get lost on its way into the log
        for hook in now(lane):
            if hook.webhook_id in stage.receiver.answered_200 and hook.pk not in lane.given_up:
                assert hook.state == State.DELIVERED


def assert_order(stage: Stage, lane: Told) -> None:
    """3: of an ordered lane one is under way at a time, and first attempts come in the order of the events."""
    if lane.nature.parallel:
        assert stage.receiver.most[lane.name] <= 16
        return
    assert stage.receiver.most[lane.name] <= 1
    sent_again = {hook.webhook_id for hook in lane.hooks if hook.pk in lane.sent_again}
    first = [
        arrival.n
        for arrival in stage.receiver.arrivals[lane.name]
        if arrival.attempt == 1 and arrival.webhook_id not in sent_again
    ]
    first_of_each = list(dict.fromkeys(first))  # after a kill one may come twice
    assert first_of_each == sorted(first_of_each)


def assert_attempts(stage: Stage, lane: Told) -> None:
    """4: no more than allowed, none twice unless a dispatcher was killed, and each of them is in the log."""
    came: dict[str, Counter[int]] = {hook.webhook_id: Counter() for hook in lane.hooks}
    for arrival in stage.receiver.arrivals[lane.name]:
        came[arrival.webhook_id][arrival.attempt] += 1
    logged: dict[int, Counter[int]] = {hook.pk: Counter() for hook in lane.hooks}
    for key, number in Attempt.objects.filter(hook__endpoint=lane.endpoint).values_list("hook_id", "number"):
        logged[key][number] += 1
    for hook in now(lane):
        numbers = came[hook.webhook_id]
        assert max(numbers, default=0) <= hook.attempts_allowed
        if hook.state == State.FAILED:
            assert hook.attempts_made == hook.attempts_allowed or hook.last_status == 410
        if hook.pk in lane.sent_again:
            continue  # cancelled under way and then sent again, an attempt's number comes again
        assert hook.attempts_allowed == (20 if lane.nature.guaranteed else 1)
        if not stage.kills:
            assert set(numbers.values()) <= {1}
            assert set(numbers) <= set(logged[hook.pk])
        else:
            assert max(numbers.values(), default=0) <= 1 + stage.kills
