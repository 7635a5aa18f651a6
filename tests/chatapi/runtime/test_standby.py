"""`manage.py standby`: it continues the work of the worker's processes when they die, and no other work."""

from collections.abc import Iterator

import psutil
import psycopg
import pytest

from chatapi.runtime import standby
from hooks.models import Role
from hooks.worker_slots import hold_slot
from tests.faults.product_instance import create_product_instance, kill, pids_of_role, worker_processes
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import READY_SECONDS, Product
from tests.receiver import Receiver

pytestmark = pytest.mark.timeout(2 * READY_SECONDS)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with Product(tmp_path_factory.mktemp("standby")) as product:
        yield product


def process(product: Product) -> psutil.Process:
    return product.part("manage.py", "standby")


def pids(product: Product, role: str) -> list[int]:
    return pids_of_role(product.environment, role)


def wait_until_it_watches(product: Product, *, start: int) -> None:
    """Waits until the standby process has seen the worker's dispatcher after its first, second, … start.

    It leaves a slot that it never saw held to the worker.
    """
    said = "the standby process would take over"
    wait_until(
        lambda: sum(said in line and "role=dispatch" in line for line in product.lines) >= start, said, 60
    )


def test_it_takes_over_when_the_worker_is_killed_and_its_own_death_has_no_effect(own: Product) -> None:
    wait_until_it_watches(own, start=1)
    waiting = process(own)
    with Receiver() as receiver:
        alice = create_product_instance(own.environment, receiver.url)
        alice.receive(1)
        alice.wait_until_delivered(1)
        assert waiting.pid not in pids(own, "dispatch") + pids(own, "outgoing")
        kill(worker_processes(own))
        own.wait_for("A slot is free: the standby process takes over.")
        alice.receive(1, first=1)
        alice.wait_until_delivered(2)
        assert waiting.pid in pids(own, "dispatch")
        wait_until(lambda: waiting.pid in pids(own, "outgoing"), "it sends messages too")
        kill([waiting])
        alice.receive(1, first=2)
        alice.wait_until_delivered(3)
    wait_until_it_watches(own, start=2)


def test_sigterm_ends_it_while_it_works(own: Product) -> None:
    wait_until_it_watches(own, start=1)  # the test above may run in another process, on another product
    kill(worker_processes(own))
    working = process(own)
    wait_until(lambda: working.pid in pids(own, "dispatch"), "it has taken over", 60)
    assert own.stop() == 0
    assert not psutil.pid_exists(working.pid)
    own.start()
    own.wait_for("Ready")


@pytest.mark.django_db(transaction=True)
def test_a_slot_that_was_never_held_is_left_to_the_worker_for_some_seconds(
    monkeypatch: pytest.MonkeyPatch, session: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    taken: list[float] = []
    watch = standby.Watch(Role.DISPATCH, 1, taken.append)

    def check() -> int:
        watch.check(session)
        if watch.thread:
            watch.thread.join()
        return len(taken)

    assert check() == 0
    with hold_slot(Role.DISPATCH, range(1)):
        assert check() == 0
    assert check() == 1  # it was held, and is free
    assert check() == 1  # after the hand-over, the worker has some seconds
    monkeypatch.setattr(standby, "PATIENCE_SECONDS", 0.0)
    watch.be_patient()
    assert check() == 2
    assert taken == [standby.TAKEOVER_SECONDS] * 2


@pytest.mark.django_db(transaction=True)
def test_a_free_slot_without_work_is_left_free(
    monkeypatch: pytest.MonkeyPatch, session: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    monkeypatch.setattr(standby, "PATIENCE_SECONDS", 0.0)
    taken: list[float] = []
    wanted = [False, False, True]
    watch = standby.Watch(Role.RECEIVING, 1, taken.append, lambda: wanted.pop(0))
    for _ in range(2):
        watch.check(session)
        assert watch.thread is None
    watch.check(session)
    assert watch.thread
    watch.thread.join()
    assert taken == [standby.TAKEOVER_SECONDS]


@pytest.fixture
def session() -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    from hooks.worker_slots import connect

    with connect() as opened:
        yield opened
