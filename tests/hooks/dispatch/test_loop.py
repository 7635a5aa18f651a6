"""The dispatcher's loop: claims, leases and threads that arrive, expire or end at a bad moment."""

import os
import time
from collections.abc import Iterator
from itertools import count

import pytest

from chatapi.database import lost_sessions
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
    """A dispatcher whose threads do not run: what it submits stays in their queues."""
    dispatcher = Dispatcher(worker_slot, None, lambda: None)
    yield dispatcher
    dispatcher.recorder.session.close()
    dispatcher.sweeper.session.close()
    dispatcher.wakeup.close()


@pytest.fixture
def handed_back(dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> list[ClaimedHook]:
    """Collects the hooks that are handed back, in order."""
    hooks: list[ClaimedHook] = []
    monkeypatch.setattr(dispatcher.claimer, "hand_back", hooks.extend)
    return hooks


def arrive(dispatcher: Dispatcher, mark: int, *hooks: ClaimedHook) -> None:
    dispatcher.claimer.claims.append((mark, Claim(list(hooks), [], [], [], [])))
    dispatcher.collect_thread_results()


def test_a_claim_made_before_a_hand_back_is_handed_back_too(
    dispatcher: Dispatcher, handed_back: list[ClaimedHook]
) -> None:
    older, younger, later = hook(), hook(), hook()
    mark = dispatcher.hand_backs
    dispatcher.hand_back([older])
    arrive(dispatcher, mark, younger)  # claimed meanwhile: sending it first would break the order
    assert handed_back == [older, younger]
    assert dispatcher.lanes.buffered == 0
    arrive(dispatcher, dispatcher.hand_backs, later)
    assert dispatcher.lanes.buffered == 1
    assert 1 in dispatcher.lanes_to_claim


def test_after_a_database_outage_hooks_not_yet_sent_are_handed_back(
    dispatcher: Dispatcher, handed_back: list[ClaimedHook]
) -> None:
    waiting = [hook(), hook()]
    arrive(dispatcher, 0, *waiting)
    dispatcher.claimer.reconnected = True
    dispatcher.collect_thread_results()
    assert handed_back == waiting
    assert not dispatcher.claimer.reconnected


def test_a_hook_that_waited_too_long_is_handed_back_with_the_rest_of_its_lane(
    dispatcher: Dispatcher, handed_back: list[ClaimedHook], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, young, other = hook(lease=MIN_LEASE_LEFT - 1), hook(), hook(lane=2)
    arrive(dispatcher, 0, old, young, other)
    sent: list[ClaimedHook] = []
    monkeypatch.setattr(dispatcher, "start", sent.append)
    dispatcher.send()
    assert handed_back == [old, young]
    assert sent == [other]
    assert (dispatcher.lanes.in_flight, dispatcher.lanes.buffered) == (1, 0)


def test_no_request_starts_while_the_database_does_not_respond(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another machine may own the hooks by then: PostgreSQL has ended the session of one that is cut off."""
    assert loop.CONTACT_SECONDS + 1 < lost_sessions.LOST_SECONDS
    waiting = [hook(), hook(lane=2)]
    arrive(dispatcher, 0, *waiting)
    sent: list[ClaimedHook] = []
    monkeypatch.setattr(dispatcher, "start", sent.append)
    dispatcher.claimer.contact_at = dispatcher.recorder.contact_at = time.monotonic() - loop.CONTACT_SECONDS
    dispatcher.send()
    dispatcher.send()
    assert sent == []
    assert [record.getMessage() for record in caplog.records] == [
        "dispatcher 0: the database has not responded for 4 s; no request is started until it does"
    ]
    dispatcher.claimer.contact_at = time.monotonic()
    dispatcher.send()
    assert sent == waiting


def test_lanes_are_released_at_a_stop_after_the_last_claim_has_arrived(
    dispatcher: Dispatcher, handed_back: list[ClaimedHook]
) -> None:
    first, second = hook(), hook()
    arrive(dispatcher, 0, first)
    dispatcher.claimer.submitted += 1  # a claim is pending
    dispatcher.stopping, dispatcher.drain_ends = True, time.monotonic() + 60
    dispatcher.collect_thread_results()
    assert (handed_back, dispatcher.released, dispatcher.is_over()) == ([first], False, False)
    dispatcher.claimer.done += 1
    arrive(dispatcher, 0, second)
    assert (handed_back, dispatcher.released, dispatcher.is_over()) == ([first, second], True, True)


def test_the_buffers_of_hanging_endpoints_do_not_block_other_lanes(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[int, int]] = []
    monkeypatch.setattr(
        dispatcher.claimer, "claim", lambda wanted, wanted_retries, **more: asked.append(wanted)
    )
    dispatcher.next_heartbeat = time.monotonic() + 60
    dispatcher.lanes.max_in_flight = 4
    dispatcher.lanes.add([hook(lane) for lane in (1, 1, 1, 1, 2, 2, 2, 2)])
    list(dispatcher.lanes.next_hooks())  # one of each lane is in flight, three of each are claimed
    dispatcher.lanes.buffered += 2  # the room of twice max_in_flight is full
    dispatcher.lanes_to_claim = dict.fromkeys((1, 2, 3))
    dispatcher.claim()
    assert asked == [{3: 1}]


def test_a_stop_waits_for_requests_in_flight_until_the_drain_ends(dispatcher: Dispatcher) -> None:
    dispatcher.lanes.add([hook()])
    list(dispatcher.lanes.next_hooks())
    dispatcher.stopping = dispatcher.released = True
    dispatcher.drain_ends = time.monotonic() + 60
    assert not dispatcher.is_over()
    dispatcher.drain_ends = time.monotonic() - 1
    assert dispatcher.is_over()


def test_a_hook_that_cannot_be_sent_fails_and_others_are_sent(dispatcher: Dispatcher) -> None:
    broken = hook()
    broken.body = b"\xff"
    arrive(dispatcher, 0, broken, hook(lane=2))
    dispatcher.send()
    [result] = dispatcher.results
    assert (result.hook, result.state) == (broken, State.FAILED)
    assert result.response.error.startswith("not sent: 'utf-8' codec can't decode byte 0xff")
    assert dispatcher.lanes.in_flight == 1


def run_until_all_sent(worker_slot: worker_slots.WorkerSlot, n: int) -> None:
    """Runs the whole loop in this thread until `n` requests have arrived."""
    read_end, write_end = os.pipe()

    def answer(received: Received) -> Answer:
        if received.json()["n"] == n - 1:
            os.write(write_end, b"!")
        return 200, {}, b""

    with open(read_end), open(write_end, "w"), Receiver(answer) as receiver:
        emit(InstanceFactory(url=receiver.url).endpoint, n)
        loop.run(worker_slot, stop_fd=read_end)


def test_after_a_stop_signal_the_loop_ends_with_all_results_stored(
    worker_slot: worker_slots.WorkerSlot,
) -> None:
    run_until_all_sent(worker_slot, 5)
    assert set(Hook.objects.values_list("state", "attempts_made")) == {(State.DELIVERED, 1)}
    assert Runner.objects.get().finished_at is not None


def test_a_thread_that_fails_ends_the_dispatcher(
    worker_slot: worker_slots.WorkerSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record(*arguments: object) -> None:
        raise ValueError("a row that PostgreSQL does not take")

    monkeypatch.setattr(database_threads, "record_attempts", record)
    with Receiver() as receiver:
        emit(InstanceFactory(url=receiver.url).endpoint)
        with pytest.raises(RuntimeError, match="the dispatcher's recorder has ended"):
            loop.run(worker_slot)
