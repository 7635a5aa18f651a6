"""Order without waiting for slow responses: real dispatchers, real sockets, and what the attempts' rows say."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import transaction

from hooks import database_clock, outbox, worker_slots
from hooks.actions.hooks import NotPossible, skip, try_now
from hooks.maintenance import conservation
from hooks.models import Attempt, Endpoint, Hook, Kind, State, Trigger
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import Dispatch, emit, states, wait_until
from tests.receiver import Answer, Received, Receiver

pytestmark = pytest.mark.django_db(transaction=True)

DEADLINE = timedelta(seconds=10)
TURNS = 10
OWN_MESSAGE = b'{"messages":[{"fromMe":true}]}'


class Bot:
    """Responds 200, and not to hooks of its own messages until `over` is set, like the vendor's Node bot."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __call__(self, received: Received) -> Answer:
        if any(message["fromMe"] for message in received.json().get("messages", [])):
            self.over.wait(120)
        return 200, {}, b""


def endpoint(url: str, *, guaranteed: bool = False, strict: bool = False) -> Endpoint:
    return InstanceFactory(url=url, guaranteed=guaranteed, strict=strict).endpoint


def emit_one(lane: Endpoint, body: bytes) -> Hook:
    with transaction.atomic():
        return outbox.emit(instance_id=lane.pk, kind=Kind.MESSAGE, body=body)


def spans(hooks: Sequence[Hook], *triggers: Trigger) -> list[tuple[datetime, datetime]]:
    """When the recorded attempts of these hooks began and ended, in the order of their starts."""
    rows = Attempt.objects.filter(hook__in=hooks, trigger__in=triggers or list(Trigger)).order_by(
        "started_at"
    )
    return [(row.started_at, row.started_at + timedelta(milliseconds=row.total_ms)) for row in rows]


def most_at_once(found: Sequence[tuple[datetime, datetime]]) -> int:
    """Returns the most spans at the start of one, which counts too. `found` is in the order of the starts."""
    return max(
        1 + sum(start < ended - drift(ended - begun) for begun, ended in found[:place])
        for place, (start, _) in enumerate(found)
    )


def drift(passed: timedelta) -> timedelta:
    """How far the clock that the starts are taken from may have been set back meanwhile (hooks/database_clock.py)."""
    return database_clock.SLEW * (1 + passed / timedelta(seconds=worker_slots.HEARTBEAT_SECONDS))


def assert_nothing_lost() -> None:
    assert [conservation.missing(row) for row in conservation.totals()] == [0] * Endpoint.objects.count()


@pytest.mark.parametrize("guaranteed", [False, True])
def test_a_bot_that_never_responds_to_its_own_messages_delays_no_turn_to_the_deadline(
    tmp_path: Path, guaranteed: bool
) -> None:
    bot = Bot()
    with Receiver(bot) as receiver, Dispatch(tmp_path):
        lane = endpoint(receiver.url, guaranteed=guaranteed)
        turns, own = [], []
        for number in range(TURNS):
            turns.append(emit_one(lane, b'{"messages":[{"fromMe":false,"body":"%d"}]}' % number))
            wait_until(lambda: arrived(receiver, turns[-1]), f"turn {number} arrives")
            own.append(emit_one(lane, OWN_MESSAGE))
        wait_until(lambda: arrived(receiver, own[-1]), "the last message of the bot arrives")
        wait_until(lambda: Attempt.objects.filter(hook__in=own[:3]).count() >= 3, "the first attempts end")
        bot.over.set()
        wait_until(lambda: Attempt.objects.filter(hook__in=own).count() >= TURNS, "all attempts end")
    begun = [at for at, _ in spans(turns)]
    silent = spans(own, Trigger.EVENT)
    assert len(begun) == len(silent) == TURNS
    # each turn was sent while the attempt before it was still waiting for its response
    for turn, (before, ended) in zip(begun[1:], silent, strict=False):
        assert turn < ended - drift(ended - before)
    assert set(Hook.objects.filter(pk__in=[hook.pk for hook in turns]).values_list("state", flat=True)) == {
        State.DELIVERED
    }
    assert_nothing_lost()


def arrived(receiver: Receiver, hook: Hook) -> bool:
    return any(request.headers["webhook-id"] == hook.webhook_id for request in receiver.requests)


def test_an_endpoint_that_never_responds_has_at_most_four_requests_in_flight(tmp_path: Path) -> None:
    bot = Bot()
    with Receiver(bot) as receiver, Dispatch(tmp_path):
        lane = endpoint(receiver.url)
        made = [emit_one(lane, OWN_MESSAGE) for _ in range(8)]
        wait_until(lambda: Attempt.objects.filter(hook__in=made).count() >= 3, "three attempts end", 60)
        bot.over.set()
        wait_until(lambda: Attempt.objects.filter(hook__in=made).count() == 8, "all attempts end", 60)
    found = spans(made)
    assert most_at_once(found) == 4
    first = [start - found[0][0] for start, _ in found]
    assert first[3] < DEADLINE - drift(DEADLINE) <= first[4]
    assert [request.headers["webhook-id"] for request in receiver.requests] == [
        hook.webhook_id for hook in made
    ]
    assert_nothing_lost()


def test_a_retry_that_hangs_does_not_hold_its_lane_and_no_second_one_runs(tmp_path: Path) -> None:
    over, hanging = threading.Event(), threading.Event()

    def answer(received: Received) -> Answer:
        if not received.json().get("fails"):
            return 200, {}, b""
        if received.headers["webhook-attempt"].startswith("1/"):
            return 500, {}, b""
        hanging.set()
        over.wait(60)
        return 200, {}, b""

    with Receiver(answer) as receiver, Dispatch(tmp_path):
        lane = endpoint(receiver.url, guaranteed=True)
        failing = [emit_one(lane, b'{"fails":true}') for _ in range(3)]
        wait_until(
            lambda: (
                Hook.objects.filter(pk__in=[hook.pk for hook in failing], state=State.RETRYING).count() == 3
            ),
            "all have failed once",
        )
        for hook in failing:
            try_now(hook, acting_user=None)
        assert hanging.wait(30)
        later = emit(lane, 20)
        wait_until(lambda: all(arrived(receiver, hook) for hook in later), "the lane is not held")
        over.set()
        wait_until(lambda: not Hook.objects.exclude(state=State.DELIVERED).exists(), "all are delivered", 60)
    begun, ended = spans(failing, Trigger.RETRY)[0]
    assert spans(later)[0][0] < ended - drift(ended - begun), "sent while the retry was hanging"
    assert most_at_once(spans(failing, Trigger.RETRY)) == 1
    assert_nothing_lost()


def test_there_is_no_inversion_with_failures_and_two_dispatchers(tmp_path: Path) -> None:
    each, lanes = 60, 6

    def answer(received: Received) -> Answer:
        chance = random.Random(received.headers["webhook-id"] + received.headers["webhook-attempt"])
        time.sleep(1.5 if received.json()["n"] == 7 else chance.uniform(0, 0.03))
        # not the fourth attempt: the fifth is due a minute later
        fails = received.headers["webhook-attempt"][:2] in ("1/", "2/", "3/") and chance.random() < 0.1
        return (500 if fails else 200), {}, b""

    with Receiver(answer) as receiver, Dispatch(tmp_path), Dispatch(tmp_path):
        endpoints = [endpoint(receiver.url, guaranteed=True) for _ in range(lanes)]
        made = {lane.pk: [hook for _ in range(3) for hook in emit(lane, each // 3)] for lane in endpoints}
        ids = [hook.webhook_id for hooks in made.values() for hook in hooks]

        def firsts() -> list[str]:
            requests = [one for one in receiver.requests if one.headers["webhook-attempt"].startswith("1/")]
            return [one.headers["webhook-id"] for one in requests]

        wait_until(lambda: len(firsts()) == len(ids), "all first attempts are made", 60)
        wait_until(hurry_all, "all are delivered", 90)
    order = {webhook_id: place for place, webhook_id in enumerate(firsts())}
    for hooks in made.values():
        places = [order[hook.webhook_id] for hook in hooks]
        assert places == sorted(places)
    assert Attempt.objects.filter(status=500).exists()
    assert_nothing_lost()


@pytest.mark.parametrize("guaranteed", [False, True])
def test_a_strict_lane_waits_for_the_slow(tmp_path: Path, guaranteed: bool) -> None:
    def answer(received: Received) -> Answer:
        time.sleep(4 if received.json()["n"] == 1 else 0)
        return 200, {}, b""

    with Receiver(answer) as receiver, Dispatch(tmp_path):
        lane = endpoint(receiver.url, guaranteed=guaranteed, strict=True)
        made = emit(lane, 4)
        wait_until(lambda: Attempt.objects.filter(hook__in=made).count() == 4, "all are sent")
    assert most_at_once(spans(made)) == 1
    assert [request.json()["n"] for request in receiver.requests] == [0, 1, 2, 3]
    assert_nothing_lost()


def test_nothing_overtakes_in_strict_lanes_with_failures_and_two_dispatchers(tmp_path: Path) -> None:
    each, lanes = 25, 4

    def answer(received: Received) -> Answer:
        chance = random.Random(received.headers["webhook-id"] + received.headers["webhook-attempt"])
        # in each lane at least one, whatever the random ids are
        fails = received.headers["webhook-attempt"].startswith("1/") and (
            chance.random() < 0.1 or received.json()["n"] == 12
        )
        return (500 if fails else 200), {}, b""

    with Receiver(answer) as receiver:
        endpoints = [endpoint(receiver.url, guaranteed=True, strict=True) for _ in range(lanes)]
        made = {lane.pk: emit(lane, each) for lane in endpoints}
        with Dispatch(tmp_path), Dispatch(tmp_path) as second:
            wait_until(lambda: Attempt.objects.filter(status=500).count() >= 2, "some have failed")
            second.kill()
            with Dispatch(tmp_path):
                wait_until(hurry_all, "all are delivered", 90)
    assert states(*endpoints) == {State.DELIVERED}
    assert Attempt.objects.filter(status=500).exists()
    for hooks in made.values():
        attempts = Attempt.objects.filter(hook__in=hooks).order_by("started_at")
        order = [attempt.hook_id for attempt in attempts]
        assert order == sorted(order)
        assert most_at_once(spans(hooks)) == 1
    assert_nothing_lost()


def hurry_all() -> bool:
    """Makes all retries due now; returns whether all hooks are delivered."""
    for hook in Hook.objects.filter(state=State.RETRYING):
        hurry(hook)
    return not Hook.objects.exclude(state=State.DELIVERED).exists()


def hurry(hook: Hook) -> None:
    """Makes a retry due now, unless it is being sent already."""
    with contextlib.suppress(NotPossible):
        try_now(hook, acting_user=None)


def test_a_hook_that_keeps_failing_holds_its_strict_lane_until_it_is_skipped(tmp_path: Path) -> None:
    def answer(received: Received) -> Answer:
        return (500 if received.json()["n"] == 1 else 200), {}, b""

    with Receiver(answer) as receiver, Dispatch(tmp_path):
        lane, other = (endpoint(receiver.url, guaranteed=True, strict=strict) for strict in (True, False))
        made = emit(lane, 4)
        for number in (1, 2, 3):
            failed = Hook.objects.filter(pk=made[1].pk, state=State.RETRYING, attempts_made=number)
            wait_until(failed.exists, f"attempt {number} has failed")
            # another lane's hook is claimed and sent meanwhile, and none of this lane
            [beside] = emit(other)
            wait_until(Hook.objects.filter(pk=beside.pk, state=State.DELIVERED).exists, "another lane works")
            assert Hook.objects.filter(pk__in=[made[2].pk, made[3].pk], state=State.QUEUED).count() == 2
            if number < 3:
                hurry(made[1])
        skip(made[1], acting_user=None)
        wait_until(Hook.objects.filter(pk=made[3].pk, state=State.DELIVERED).exists, "the lane continues")
    ids = {hook.webhook_id for hook in made}
    sent = [request.json()["n"] for request in receiver.requests if request.headers["webhook-id"] in ids]
    assert sent[:1] + sent[-2:] == [0, 2, 3]
    assert set(sent[1:-2]) == {1}
    assert_nothing_lost()
