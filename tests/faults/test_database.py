"""PostgreSQL is stopped and started while a dispatcher runs."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.databases import Database, dispatcher_on
from tests.faults.product_instance import ProductInstance, create_product_instance
from tests.hooks.dispatch.dispatching import Dispatch, Held
from tests.receiver import Answer, Received, Receiver


@pytest.fixture
def dispatcher(database: Database, tmp_path: Path) -> Iterator[Dispatch]:
    with dispatcher_on(database, tmp_path) as process:
        yield process


def numbers(receiver: Receiver) -> list[int]:
    """Returns the numbers of the messages that arrived, in order."""
    return [int(request.json()["messages"][0]["body"]) for request in receiver.requests]


def test_responses_during_a_database_outage_are_recorded_after_it(
    database: Database, dispatcher: Dispatch
) -> None:
    slow = Held()
    with Receiver(slow) as receiver:
        alice = create_product_instance(database.environment, receiver.url)
        alice.receive(20)
        slow.wait_for_arrival(60)
        database.stop()
        slow.release.set()
        database.start()
        alice.wait_until_delivered(20)
        assert dispatcher.process.poll() is None, dispatcher.output
        assert numbers(receiver) == list(range(20))  # in order, without duplicates


class Restarts:
    """Responds with 200, and sets an event at the 100th and at the 300th request."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen = 0
        self.marks = {100: threading.Event(), 300: threading.Event()}
        self.order: dict[str, list[int]] = defaultdict(list)

    def __call__(self, received: Received) -> Answer:
        with self.lock:
            self.seen += 1
            self.order[received.path].append(int(received.json()["messages"][0]["body"]))
            if self.seen in self.marks:
                self.marks[self.seen].set()
        return 200, {}, b""


def test_two_restarts_under_load_lose_duplicate_or_reorder_nothing(
    database: Database, dispatcher: Dispatch
) -> None:
    responses = Restarts()
    with Receiver(responses) as receiver:
        lanes: list[ProductInstance] = [
            create_product_instance(database.environment, f"{receiver.url}/{lane}") for lane in range(2)
        ]
        for lane in lanes:
            lane.receive(400)
        for mark, reached in responses.marks.items():
            assert reached.wait(60), f"request {mark} did not arrive in 60 s"
            database.stop()
            database.start()
        for lane in lanes:
            lane.wait_until_delivered(400)
        assert dispatcher.process.poll() is None, dispatcher.output
    assert dict(responses.order) == {f"/hook/{lane}": list(range(400)) for lane in range(2)}
