"""The clock of a process is set forward and back by an hour while it runs; PostgreSQL's is right."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import requests

from hooks.models import Hook, State
from tests.factories import InstanceFactory
from tests.faults.clock import Clock
from tests.faults.product_instance import create_product_instance
from tests.hooks.dispatch.dispatching import Dispatch, emit, wait_until
from tests.product import Product
from tests.receiver import Received, Receiver
from tests.rest import Rest

HOUR = 3600
STEPS = [HOUR, -HOUR, 0]  # forward an hour, back two, and right again


@pytest.fixture
def clock() -> Iterator[Clock]:
    with Clock() as made:
        yield made


@pytest.mark.parametrize("seconds", STEPS)
def test_the_clock_of_a_process_is_set_and_its_monotonic_one_is_not(clock: Clock, seconds: int) -> None:
    clock.set(seconds)
    before, began = time.time(), time.monotonic()
    said = subprocess.check_output(
        [sys.executable, "-c", "import time; print(time.time(), time.monotonic())"],
        env=os.environ | clock.environment,
        text=True,
    )
    shown, monotonic = map(float, said.split())
    assert before <= shown - seconds <= time.time()
    assert began <= monotonic <= time.monotonic()


@pytest.mark.usefixtures("checked")
def test_retries_are_due_by_the_databases_clock_whatever_the_dispatchers_says(
    clock: Clock, tmp_path: Path
) -> None:
    seen: set[str] = set()

    def first_500(received: Received) -> tuple[int, dict[str, str], bytes]:
        is_first = received.headers["webhook-id"] not in seen
        seen.add(received.headers["webhook-id"])
        return (500 if is_first else 200), {}, b""

    with Receiver(first_500) as receiver, Dispatch(tmp_path, **clock.environment):
        endpoint = InstanceFactory(url=receiver.url, guaranteed=True).endpoint
        for seconds in STEPS:
            clock.set(seconds)
            [hook] = emit(endpoint)
            wait_until(partial(reached, hook, State.RETRYING), "the first attempt is recorded")
            assert hook.next_attempt_at is not None
            # 5 s ± 20 % after the attempt, and not an hour earlier or later
            assert timedelta(seconds=4) <= hook.next_attempt_at - hook.created_at < timedelta(minutes=10)
            wait_until(partial(reached, hook, State.DELIVERED), "the retry is sent", 60)
            # so that receivers, which refuse old timestamps, accept them
            signed = [int(request.headers["webhook-timestamp"]) for request in receiver.requests[-2:]]
            assert all(abs(at - time.time()) < 600 for at in signed), signed
    assert len(receiver.requests) == 2 * len(STEPS)


def reached(hook: Hook, state: State) -> bool:
    hook.refresh_from_db()
    return hook.state == state


def test_the_product_receives_sends_and_delivers_while_its_clock_is_set(clock: Clock, tmp_path: Path) -> None:
    """Web server, worker, sender and standby: all of its processes but PostgreSQL."""
    with Receiver() as receiver, Product(tmp_path, None, **clock.environment) as product:  # type: ignore[arg-type]
        rest = Rest(product)
        rest.call("PATCH", rest.home, json={"webhookUrl": receiver.url, "ackNotificationsOn": False})
        alice = create_product_instance(product.environment, receiver.url)
        for number, seconds in enumerate(STEPS):
            clock.set(seconds)
            product.wait_for_ready()
            rest.hello(f"in {number}")
            sent = requests.post(
                f"{rest.api_url}sendMessage",
                params={"token": rest.instance["token"]},
                json={"phone": "17680561234", "body": f"out {number}"},
                timeout=60,
            )
            assert sent.json()["sent"], sent.text
            alice.receive(5, first=5 * number)
            wanted = {f"in {number}", f"out {number}", *map(str, range(5 * number, 5 * number + 5))}
            wait_until(partial(have_arrived, wanted, receiver), f"{wanted} arrive", 60)
        # the worker's tasks are found in the queue, whatever the clock was when they were queued
        product.restart_worker()
        alice.receive(1, first=100)
        alice.wait_until_delivered(16)


def have_arrived(wanted: set[str], receiver: Receiver) -> bool:
    """Returns whether messages with all of these bodies have arrived."""
    return wanted <= {
        message["body"]
        for request in list(receiver.requests)
        for message in request.json().get("messages", ())
    }
