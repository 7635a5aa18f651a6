"""The real dispatcher process with real receivers: the guarantees of delivery.md, one by one."""

import signal
import threading
from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from hooks.actions.endpoints import configure, end_override, override_url
from hooks.actions.hooks import NotPossible, resend, try_now
from hooks.models import Attempt, Endpoint, Hook, Kind, Lane, Outcome, Runner, Side, State, Trigger
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import Dispatch, Held, emit, states, wait_until
from tests.receiver import Answer, Received, Receiver

pytestmark = pytest.mark.usefixtures("checked")
LATER = {"Retry-After": "600"}  # the retry is not due while the test still looks at the first attempt


def endpoint(url: str, *, guaranteed: bool = False, parallel: bool = False) -> Endpoint:
    return InstanceFactory(url=url, guaranteed=guaranteed, parallel=parallel).endpoint


def state(hook: Hook) -> str:
    return Hook.objects.values_list("state", flat=True).get(pk=hook.pk)


def wait_for(hook: Hook, wanted: State) -> Hook:
    wait_until(lambda: state(hook) == wanted, f"the hook is {wanted}")
    hook.refresh_from_db()
    return hook


def wait_for_attempts(count: int) -> None:
    wait_until(lambda: Attempt.objects.count() >= count, f"{count} attempts are recorded")


def owner_of_lane(*running: Dispatch) -> Dispatch:
    """Returns the dispatcher that owns the only lane.

    Both run before the hook is sent: the deadline of its request would be over before another one has started.
    """
    owner = Lane.objects.get().owner
    assert owner is not None
    pid = Runner.objects.get(pk=owner).pid
    [found] = [each for each in running if each.process.pid == pid]
    return found


# -- one hook


def test_a_hook_arrives_signed_and_its_attempt_is_stored_completely(tmp_path: Path) -> None:
    with Receiver([(200, {"X-Bot": "yes"}, b"thank you")]) as receiver, Dispatch(tmp_path):
        alice = endpoint(receiver.url)
        [hook] = emit(alice, kind=Kind.ACK)
        wait_for(hook, State.DELIVERED)
        [request] = receiver.requests
    assert (request.method, request.path, request.body) == ("POST", "/hook", b'{"n":0}')
    assert Webhook(alice.secret).verify(request.body.decode(), request.headers) == {"n": 0}
    assert request.headers["webhook-id"] == hook.webhook_id
    assert request.headers["webhook-attempt"] == "1/1"
    assert request.headers["content-type"] == "application/json"
    assert "webhook-simulated" not in request.headers

    assert (hook.attempts_made, hook.attempts_allowed) == (1, 1)
    assert (hook.last_outcome, hook.last_status, hook.last_host) == (Outcome.OK, 200, "127.0.0.1")
    assert hook.finished_at is not None
    assert (hook.lease_until, hook.next_attempt_at) == (None, None)

    attempt = hook.attempts.get()
    assert (attempt.number, attempt.trigger, attempt.url) == (1, Trigger.EVENT, receiver.url)
    assert attempt.address == f"127.0.0.1:{receiver.port}"
    assert (attempt.outcome, attempt.status, attempt.side, attempt.error) == (Outcome.OK, 200, "", "")
    assert {name.lower(): value for name, value in attempt.request_headers} == request.headers
    assert [name.lower() for name, _ in attempt.request_headers] == list(request.headers)  # in the same order
    assert ["X-Bot", "yes"] in attempt.response_headers
    assert (bytes(attempt.response_body), attempt.response_size) == (b"thank you", 9)
    assert hook.created_at <= attempt.started_at <= hook.finished_at
    assert attempt.name_ms is not None
    assert attempt.connect_ms is not None
    assert attempt.first_byte_ms is not None
    assert attempt.tls_ms is None
    assert attempt.name_ms <= attempt.connect_ms <= attempt.first_byte_ms <= attempt.total_ms
    assert hook.last_ms == attempt.total_ms


def test_without_guaranteed_hooks_a_500_fails_the_hook(tmp_path: Path) -> None:
    with Receiver([(500, {}, b"a"), (500, {}, b"b"), (200, {}, b"")]) as receiver, Dispatch(tmp_path):
        hook = wait_for(emit(endpoint(receiver.url))[0], State.FAILED)
        assert len(receiver.requests) == 1
    assert (hook.attempts_made, hook.attempts_allowed, hook.next_attempt_at) == (1, 1, None)
    attempt = hook.attempts.get()
    assert (attempt.outcome, attempt.status, attempt.side) == (Outcome.NOT_200, 500, Side.ENDPOINT)
    assert bytes(attempt.response_body) == b"a"


def test_with_guaranteed_hooks_all_three_attempts_are_logged(tmp_path: Path) -> None:
    with Receiver([(500, LATER, b"a"), (500, LATER, b"b"), (200, {}, b"c")]) as receiver, Dispatch(tmp_path):
        [hook] = emit(endpoint(receiver.url, guaranteed=True))
        for made in (1, 2):
            receiver.wait_for(made)
            wait_for(hook, State.RETRYING)
            assert hook.attempts_made == made
            try_now(hook, acting_user=None)
            wait_for_attempts(made + 1)
        wait_for(hook, State.DELIVERED)
        requests = receiver.requests
    assert [request.headers["webhook-attempt"] for request in requests] == ["1/20", "2/20", "3/20"]
    assert {request.headers["webhook-id"] for request in requests} == {hook.webhook_id}
    shown = hook.attempts.order_by("number").values_list("number", "trigger", "status", "response_body")
    assert [(number, trigger, status, bytes(body)) for number, trigger, status, body in shown] == [
        (1, Trigger.EVENT, 500, b"a"),
        (2, Trigger.RETRY, 500, b"b"),
        (3, Trigger.RETRY, 200, b"c"),
    ]


def test_a_retry_is_sent_when_it_is_due(tmp_path: Path) -> None:
    with Receiver([(500, {}, b""), (200, {}, b"")]) as receiver, Dispatch(tmp_path):
        [hook] = emit(endpoint(receiver.url, guaranteed=True))
        wait_for(hook, State.DELIVERED)  # 5 s later, by the schedule
    first, second = hook.attempts.order_by("number")
    assert second.started_at - first.started_at >= timedelta(seconds=4)


def test_a_retry_waits_while_the_url_is_removed_and_goes_to_the_next_one(tmp_path: Path) -> None:
    with Receiver([(500, LATER, b"")]) as old, Receiver() as new, Dispatch(tmp_path):
        alice = endpoint(old.url, guaranteed=True)
        [hook] = emit(alice)
        wait_for(hook, State.RETRYING)
        configure(alice, url="")
        with pytest.raises(NotPossible, match="no webhook URL"):
            try_now(hook, acting_user=None)
        Hook.objects.filter(pk=hook.pk).update(next_attempt_at=timezone.now())
        second = endpoint(new.url)
        wait_for(emit(second)[0], State.DELIVERED)  # the dispatcher has seen what is due
        assert state(hook) == State.RETRYING
        configure(alice, url=new.url)
        wait_for(hook, State.DELIVERED)
    assert [request.headers["webhook-attempt"] for request in new.requests] == ["1/1", "2/20"]
    assert list(hook.attempts.order_by("number").values_list("status", flat=True)) == [500, 200]


def test_a_410_fails_the_hook_immediately(tmp_path: Path) -> None:
    with Receiver([(410, {}, b"")]) as receiver, Dispatch(tmp_path):
        hook = wait_for(emit(endpoint(receiver.url, guaranteed=True))[0], State.FAILED)
    assert (hook.attempts_made, hook.attempts_allowed) == (1, 20)


def test_retry_after_is_obeyed(tmp_path: Path) -> None:
    with Receiver([(429, {"Retry-After": "600"}, b"")]) as receiver, Dispatch(tmp_path):
        hook = wait_for(emit(endpoint(receiver.url, guaranteed=True))[0], State.RETRYING)
    assert hook.next_attempt_at is not None
    wait = hook.next_attempt_at - hook.attempts.get().started_at
    assert timedelta(minutes=10) <= wait < timedelta(minutes=11)


def test_a_resent_hook_keeps_its_id(tmp_path: Path) -> None:
    with Receiver() as receiver, Dispatch(tmp_path):
        [hook] = emit(endpoint(receiver.url))
        wait_for(hook, State.DELIVERED)
        resend(hook, acting_user=None)
        first, second = receiver.wait_for(2)
        wait_for(hook, State.DELIVERED)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == hook.webhook_id
    assert second.headers["webhook-attempt"] == "2/2"
    assert list(hook.attempts.order_by("number").values_list("trigger", flat=True)) == ["event", "resend"]


def test_hooks_emitted_before_the_dispatcher_started_are_sent(tmp_path: Path) -> None:
    with Receiver() as receiver:
        alice = endpoint(receiver.url)
        emit(alice, 3)
        with Dispatch(tmp_path):
            wait_until(lambda: states(alice) == {State.DELIVERED}, "all three are delivered")
    assert [request.json()["n"] for request in receiver.requests] == [0, 1, 2]


def test_a_blocked_address_is_a_failed_attempt_with_its_reason(tmp_path: Path) -> None:
    with Receiver() as inside, Dispatch(tmp_path, HOOKS_ALLOW_NETWORKS="10.0.0.0/8"):
        hook = wait_for(emit(endpoint(f"http://localhost:{inside.port}/"))[0], State.FAILED)
        assert inside.requests == []
    attempt = hook.attempts.get()
    assert (attempt.outcome, attempt.side, attempt.error, attempt.address) == (
        Outcome.BLOCKED,
        Side.SERVER,
        "loopback",
        "",
    )


# -- lanes


class Ordered:
    """A receiver's responses: 500 for every tenth hook; records the order and the overlap by path."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: dict[str, list[int]] = defaultdict(list)

    def __call__(self, received: Received) -> Answer:
        number = received.json()["n"]
        with self.lock:
            self.under_way[received.path] += 1
            self.most[received.path] = max(self.most[received.path], self.under_way[received.path])
            if received.headers["webhook-attempt"].startswith("1/"):
                self.order[received.path].append(number)
        with self.lock:
            self.under_way[received.path] -= 1
        return (500 if number % 10 == 7 else 200), {}, b""


def test_order_is_kept_with_one_request_in_flight_by_two_dispatchers_despite_failures(tmp_path: Path) -> None:
    responses = Ordered()
    with Receiver(responses) as receiver:
        lanes = [endpoint(f"{receiver.url}/{lane}", guaranteed=True) for lane in range(4)]
        for lane in lanes:
            emit(lane, 100)  # a backlog that both dispatchers claim from
        with Dispatch(tmp_path), Dispatch(tmp_path):
            wait_until(
                lambda: sum(len(order) for order in responses.order.values()) >= 400,
                "every hook was attempted",
            )
            wait_until(
                lambda: not Hook.objects.filter(attempts_made=0).exists(), "every first attempt is written"
            )
    assert dict(responses.order) == {f"/hook/{lane}": list(range(100)) for lane in range(4)}
    assert set(responses.most.values()) == {1}
    assert Attempt.objects.filter(number=1).count() == 400
    assert Hook.objects.filter(state=State.DELIVERED).count() >= 360
    assert states(*lanes) <= {State.DELIVERED, State.RETRYING}


def test_order_is_kept_when_one_dispatcher_stops_and_another_starts(tmp_path: Path) -> None:
    responses = Ordered()
    with Receiver(responses) as receiver:
        lanes = [endpoint(f"{receiver.url}/{lane}") for lane in range(4)]
        for lane in lanes:
            emit(lane, 250)
        for round_ in range(3):
            with Dispatch(tmp_path):
                receiver.wait_for(200 * (round_ + 1), seconds=30)
            assert State.SENDING not in states(*lanes)  # its claims were handed back
            assert not Lane.objects.exclude(owner=None).exists()
        with Dispatch(tmp_path):
            wait_until(lambda: states(*lanes) == {State.DELIVERED, State.FAILED}, "all have been sent")
    assert dict(responses.order) == {f"/hook/{lane}": list(range(250)) for lane in range(4)}
    assert len(receiver.requests) == 1000  # no duplicates


def test_parallel_hooks_are_in_flight_together(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def answer(received: Received) -> Answer:
        together.wait(30)  # breaks the connection unless eight requests are here together
        return 200, {}, b""

    with Receiver(answer) as receiver, Dispatch(tmp_path):
        alice = endpoint(receiver.url, parallel=True)
        emit(alice, 16)
        wait_until(lambda: states(alice) == {State.DELIVERED}, "all are delivered")


def test_a_hanging_endpoint_does_not_delay_another(tmp_path: Path) -> None:
    held = Held()
    with Receiver(held) as hanging, Receiver() as working, Dispatch(tmp_path):
        alice, bob = endpoint(hanging.url, parallel=True), endpoint(working.url)
        emit(alice, 50)
        held.wait_for_arrival()
        emit(bob, 50)
        wait_until(lambda: states(bob) == {State.DELIVERED}, "the working endpoint has all of its hooks")
        assert State.DELIVERED not in states(alice)
        assert len(hanging.requests) <= 16
        held.release.set()
        wait_until(lambda: states(alice) == {State.DELIVERED}, "so has the other one when it responds again")
    assert [request.json()["n"] for request in working.requests] == list(range(50))


def test_a_failed_hook_does_not_block_its_lane(tmp_path: Path) -> None:
    def answer(received: Received) -> Answer:
        return (500, LATER, b"") if received.json()["n"] == 0 else (200, {}, b"")

    with Receiver(answer) as receiver, Dispatch(tmp_path):
        first, *rest = emit(endpoint(receiver.url, guaranteed=True), 5)
        for hook in rest:
            wait_for(hook, State.DELIVERED)
        assert first.attempts.count() == 1
    assert [request.json()["n"] for request in receiver.requests[:5]] == [0, 1, 2, 3, 4]


# -- addresses


def test_an_override_gets_the_hooks_until_it_is_ended(tmp_path: Path) -> None:
    with Receiver() as own, Receiver() as override, Dispatch(tmp_path):
        alice = endpoint(own.url)
        override_url(alice, url=override.url, until=timezone.now() + timedelta(minutes=30), acting_user=None)
        wait_for(emit(alice)[0], State.DELIVERED)
        assert (len(override.requests), len(own.requests)) == (1, 0)
        end_override(alice, acting_user=None)
        wait_for(emit(alice)[0], State.DELIVERED)
        assert (len(override.requests), len(own.requests)) == (1, 1)


def test_an_override_ends_at_its_time_without_a_write(tmp_path: Path) -> None:
    with Receiver() as own, Receiver() as override, Dispatch(tmp_path):
        alice = endpoint(own.url)
        until = timezone.now() + timedelta(seconds=2)
        override_url(alice, url=override.url, until=until, acting_user=None)
        wait_until(lambda: timezone.now() > until, "two seconds are over")
        wait_for(emit(alice)[0], State.DELIVERED)
        assert (len(override.requests), len(own.requests)) == (0, 1)


# -- stop and kill


def test_sigterm_finishes_requests_in_flight_and_hands_the_rest_back(tmp_path: Path) -> None:
    slow = Held()
    with Receiver(slow) as receiver:
        with Dispatch(tmp_path) as process:
            first, *rest = emit(endpoint(receiver.url), 5)
            slow.wait_for_arrival()
            process.process.terminate()
            # it releases its slot immediately, and finishes the request
            wait_until(
                lambda: Runner.objects.get(pid=process.process.pid).finished_at, "the slot is released"
            )
            assert process.process.poll() is None
            slow.release.set()
            assert process.process.wait(15) == 0
        assert len(receiver.requests) == 1
        assert (state(first), first.attempts.count()) == (State.DELIVERED, 1)
        assert {(state(hook), hook.attempts.count()) for hook in rest} == {(State.QUEUED, 0)}
        assert Lane.objects.get().owner is None
        with Dispatch(tmp_path):
            wait_for(rest[-1], State.DELIVERED)
    assert [request.json()["n"] for request in receiver.requests] == [0, 1, 2, 3, 4]


def test_after_kill_9_another_dispatcher_takes_over_and_nothing_is_lost(tmp_path: Path) -> None:
    slow = Held()
    with Receiver(slow) as receiver, Dispatch(tmp_path) as one, Dispatch(tmp_path) as other:
        made = emit(endpoint(receiver.url), 5)
        slow.wait_for_arrival()
        owner_of_lane(one, other).kill()
        in_flight = {request.json()["n"] for request in receiver.requests}
        slow.release.set()
        wait_for(made[-1], State.DELIVERED)
    arrived = Counter(request.json()["n"] for request in receiver.requests)
    twice = {n for n in arrived if arrived[n] == 2}
    assert arrived == {n: 2 if n in twice else 1 for n in range(5)}
    # Only hooks in flight are sent twice. One request may have been sent that the receiver had not read yet.
    assert 0 in in_flight <= twice
    assert len(twice - in_flight) <= 1
    assert len(twice) <= 4  # the next hook is sent when the one before has no response for 2 s
    assert {state(hook) for hook in made} == {State.DELIVERED}
    assert Attempt.objects.count() == 5


def test_a_frozen_dispatcher_loses_its_lanes_and_overwrites_nothing(tmp_path: Path) -> None:
    slow = Held()
    with Receiver(slow) as receiver, Dispatch(tmp_path) as one, Dispatch(tmp_path) as other:
        [hook] = emit(endpoint(receiver.url))
        slow.wait_for_arrival()
        stuck = owner_of_lane(one, other).process
        stuck.send_signal(signal.SIGSTOP)
        Lane.objects.update(until=timezone.now() - timedelta(seconds=1))  # as after 30 s
        receiver.wait_for(2)
        slow.release.set()
        wait_for(hook, State.DELIVERED)
        stuck.send_signal(signal.SIGCONT)
        wait_until(lambda: hook.attempts.count() == 2, "both requests are in the log")
    hook.refresh_from_db()
    assert (hook.state, hook.attempts_made) == (State.DELIVERED, 1)
