"""The dispatcher's loop by itself: what it does with claims, leases and threads at the awkward moments."""

import os
import time
from collections.abc import Iterator
from itertools import count

import pytest

from hooks import worker_slots
from hooks.dispatch import database_threads, loop
from hooks.dispatch.attempts import ClaimedHook
from hooks.dispatch.claim import MIN_LEASE_LEFT, Claim
from hooks.dispatch.loop import Dispatcher
from hooks.models import Hook, Role, Runner, State, Trigger
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import emit
from tests.receiver import Answer, Received, Receiver

pytestmark = pytest.mark.django_db(transaction=True)

ids = count(1)


def hook(lane: int = 1, lease: float = 30.0) -> ClaimedHook:
    return ClaimedHook(
        id=next(ids), webhook_id="hook_x", endpoint_id=lane, body=b"{}", claim=1, attempts_made=0, attempts_allowed=1,
        trigger=Trigger.EVENT, simulated=False, url="http://127.0.0.1:9/", secret="whsec_AAAA",
        parallel=False, lease_ends=time.monotonic() + lease,
    )  # fmt: skip


@pytest.fixture
def worker_slot() -> Iterator[worker_slots.WorkerSlot]:
    with worker_slots.hold_slot(Role.DISPATCH, range(1)) as taken:
        assert taken is not None
        yield taken


@pytest.fixture
def dispatcher(worker_slot: worker_slots.WorkerSlot) -> Iterator[Dispatcher]:
    """Its threads do not run: what it asks of them stays in their queues."""
    dispatcher = Dispatcher(worker_slot, None, lambda: None)
    yield dispatcher
    dispatcher.recorder.session.close()
    dispatcher.wakeup.close()


@pytest.fixture
def put_back(dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> list[ClaimedHook]:
    """The hooks that were handed back, in that order."""
    handed: list[ClaimedHook] = []
    monkeypatch.setattr(dispatcher.claimer, "hand_back", handed.extend)
    return handed


def arrive(dispatcher: Dispatcher, mark: int, *hooks: ClaimedHook) -> None:
    dispatcher.claimer.claims.append((mark, Claim(list(hooks), [], [], [], skipped=0)))
    dispatcher.collect_thread_results()


def test_a_claim_from_before_a_put_back_is_put_back_too(
    dispatcher: Dispatcher, put_back: list[ClaimedHook]
) -> None:
    older, younger, later = hook(), hook(), hook()
    mark = dispatcher.hand_backs
    dispatcher.hand_back([older])
    arrive(dispatcher, mark, younger)  # it was under way meanwhile: it must not overtake
    assert put_back == [older, younger]
    assert dispatcher.lanes.buffered == 0
    arrive(dispatcher, dispatcher.hand_backs, later)
    assert dispatcher.lanes.buffered == 1
    assert 1 in dispatcher.lanes_to_claim


def test_after_the_database_was_away_everything_not_begun_is_put_back(
    dispatcher: Dispatcher, put_back: list[ClaimedHook]
) -> None:
    waiting = [hook(), hook()]
    arrive(dispatcher, 0, *waiting)
    dispatcher.claimer.reconnected = True
    dispatcher.collect_thread_results()
    assert put_back == waiting
    assert not dispatcher.claimer.reconnected


def test_what_waited_too_long_takes_the_younger_ones_of_its_lane_back_with_it(
    dispatcher: Dispatcher, put_back: list[ClaimedHook], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, young, other = hook(lease=MIN_LEASE_LEFT - 1), hook(), hook(lane=2)
    arrive(dispatcher, 0, old, young, other)
    begun: list[ClaimedHook] = []
    monkeypatch.setattr(dispatcher, "start", begun.append)
    dispatcher.send()
    assert put_back == [old, young]
    assert begun == [other]
    assert (dispatcher.lanes.in_flight, dispatcher.lanes.buffered) == (1, 0)


def test_a_stop_lets_the_lanes_go_only_when_no_claim_is_on_its_way(
    dispatcher: Dispatcher, put_back: list[ClaimedHook]
) -> None:
    first, second = hook(), hook()
    arrive(dispatcher, 0, first)
    dispatcher.claimer.submitted += 1  # a claim is under way
    dispatcher.stopping, dispatcher.drain_ends = True, time.monotonic() + 60
    dispatcher.collect_thread_results()
    assert (put_back, dispatcher.released, dispatcher.is_over()) == ([first], False, False)
    dispatcher.claimer.done += 1
    arrive(dispatcher, 0, second)
    assert (put_back, dispatcher.released, dispatcher.is_over()) == ([first, second], True, True)


def test_what_lies_at_hand_of_endpoints_that_hang_keeps_no_other_lane_waiting(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[int, int]] = []
    monkeypatch.setattr(
        dispatcher.claimer, "claim", lambda wanted, mark, max_retries=None, **more: asked.append(wanted)
    )
    dispatcher.next_sweep = time.monotonic() + 60
    dispatcher.lanes.max_in_flight = 4
    dispatcher.lanes.add([hook(lane) for lane in (1, 1, 1, 1, 2, 2, 2, 2)])
    list(dispatcher.lanes.next_hooks())  # one of each lane is in flight, three of each are claimed
    dispatcher.lanes.buffered += 2  # the room of twice max_in_flight is full
    dispatcher.lanes_to_claim = dict.fromkeys((1, 2, 3))
    dispatcher.claim()
    assert asked == [{3: 1}]


def test_a_stop_waits_for_what_is_under_way_but_not_for_ever(dispatcher: Dispatcher) -> None:
    dispatcher.lanes.add([hook()])
    list(dispatcher.lanes.next_hooks())
    dispatcher.stopping = dispatcher.released = True
    dispatcher.drain_ends = time.monotonic() + 60
    assert not dispatcher.is_over()
    dispatcher.drain_ends = time.monotonic() - 1
    assert dispatcher.is_over()


def test_a_hook_that_can_not_be_sent_is_a_failed_attempt_and_the_others_go_on(dispatcher: Dispatcher) -> None:
    broken = hook()
    broken.body = b"\xff"
    arrive(dispatcher, 0, broken, hook(lane=2))
    dispatcher.send()
    [result] = dispatcher.results
    assert (result.hook, result.state) == (broken, State.FAILED)
    assert result.response.error.startswith("not sent: 'utf-8' codec can't decode byte 0xff")
    assert dispatcher.lanes.in_flight == 1


def run_until_all_sent(worker_slot: worker_slots.WorkerSlot, n: int) -> None:
    """The whole loop in this thread, which stops after `n` requests."""
    heard, tell = os.pipe()

    def answer(received: Received) -> Answer:
        if received.json()["n"] == n - 1:
            os.write(tell, b"!")
        return 200, {}, b""

    with open(heard), open(tell, "w"), Receiver(answer) as receiver:
        emit(InstanceFactory(url=receiver.url).endpoint, n)
        loop.run(worker_slot, stop_fd=heard)


def test_it_stops_when_told_with_everything_written(worker_slot: worker_slots.WorkerSlot) -> None:
    run_until_all_sent(worker_slot, 5)
    assert set(Hook.objects.values_list("state", "attempts_made")) == {(State.DELIVERED, 1)}
    assert Runner.objects.get().finished_at is not None


def test_a_thread_that_ends_takes_the_dispatcher_with_it(
    worker_slot: worker_slots.WorkerSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record(*arguments: object) -> None:
        raise ValueError("a row that PostgreSQL does not take")

    monkeypatch.setattr(database_threads, "record_attempts", record)
    with Receiver() as receiver:
        emit(InstanceFactory(url=receiver.url).endpoint)
        with pytest.raises(RuntimeError, match="the dispatcher's recorder has ended"):
            loop.run(worker_slot)
