"""PostgreSQL is stopped and started again while a dispatcher is at work."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from chatapi.runtime.postgres import server as postgres_server
from tests.faults.product_instance import Subject, subject
from tests.hooks.dispatch.dispatching import Dispatch, Held
from tests.product import manage, product_environment
from tests.receiver import Answer, Received, Receiver


class Database:
    """A PostgreSQL of the test's own, with the product's tables, that can be restarted."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pg"
        self.server = postgres_server.start(self.path, thrown_away=True)
        socket = quote(str(postgres_server.socket_folder(self.path)), safe="")
        self.url = f"postgresql:///{postgres_server.NAME}?host={socket}&user={postgres_server.NAME}"
        self.environment = product_environment(
            folder, DATABASE_URL=self.url, HOOKS_ALLOW_NETWORKS="127.0.0.0/8"
        )
        done = manage("migrate", environment=self.environment)
        assert done.returncode == 0, done.stderr

    def stop(self) -> None:
        postgres_server.stop(self.server)

    def start(self) -> None:
        self.server = postgres_server.start(self.path, thrown_away=True)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def dispatcher(database: Database, tmp_path: Path) -> Iterator[Dispatch]:
    """At work on that database, sooner or later: who waits for a request waits for it too."""
    with ExitStack() as ended:
        process = Dispatch(tmp_path, DATABASE_URL=database.url)
        ended.push(process)
        yield process


def numbers(receiver: Receiver) -> list[int]:
    """The messages that arrived, in that order."""
    return [int(request.json()["messages"][0]["body"]) for request in receiver.requests]


def test_what_was_answered_while_it_was_away_is_written_when_it_is_back(
    database: Database, dispatcher: Dispatch
) -> None:
    slow = Held()
    with Receiver(slow) as receiver:
        alice = subject(database.environment, receiver.url)
        alice.receive(20)
        slow.wait_for_arrival(60)
        database.stop()
        slow.release.set()
        database.start()
        alice.wait_until_delivered(20)
        assert dispatcher.process.poll() is None, dispatcher.output
        assert numbers(receiver) == list(range(20))  # in order, and none twice


class Restarts:
    """Answers 200, and lets the test know at the hundredth request and at the three hundredth."""

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


def test_restarted_twice_under_full_speed_nothing_is_lost_doubled_or_out_of_order(
    database: Database, dispatcher: Dispatch
) -> None:
    answers = Restarts()
    with Receiver(answers) as receiver:
        lanes: list[Subject] = [subject(database.environment, f"{receiver.url}/{lane}") for lane in range(2)]
        for lane in lanes:
            lane.receive(400)
        for mark, reached in answers.marks.items():
            assert reached.wait(60), f"the request {mark} did not come in 60 s"
            database.stop()
            database.start()
        for lane in lanes:
            lane.wait_until_delivered(400)
        assert dispatcher.process.poll() is None, dispatcher.output
    assert dict(answers.order) == {f"/hook/{lane}": list(range(400)) for lane in range(2)}
