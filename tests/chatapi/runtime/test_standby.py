"""The standby process: it continues the work of the worker's processes when they die, and no other work."""

from collections.abc import Iterator
from contextlib import suppress

import psutil
import psycopg
import pytest

from chatapi.runtime import standby
from chatapi.runtime.standby_process import NAME
from hooks.models import Role
from hooks.worker_slots import hold_slot
from tests.faults.product_instance import create_product_instance, kill, pids_of_role, worker_processes
from tests.faults.test_kill import ALWAYS, Endpoint
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import READY_SECONDS, STOP_SECONDS, Product, still_running
from tests.receiver import Receiver

pytestmark = pytest.mark.timeout(2 * READY_SECONDS)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with Product(tmp_path_factory.mktemp("standby")) as product:
        yield product


def pids(product: Product, role: str) -> list[int]:
    return pids_of_role(product.environment, role)


def wait_until_it_watches(product: Product, *, start: int) -> None:
    """Waits until the standby process has seen the worker's dispatcher and sender after its first, second, … start.

    It leaves a slot that it never saw held to the worker. If a slow worker was late, it has taken over, and waits
    again after a minute.
    """
    said = "the standby process would take over"
    for role in ("role=dispatch", "role=outgoing"):
        wait_until(
            lambda role=role: sum(said in line and role in line for line in product.lines) >= start,  # type: ignore[misc]
            f"{said}, {role}",
            180,
        )


def test_it_takes_over_when_the_worker_is_killed_and_its_own_death_has_no_effect(own: Product) -> None:
    wait_until_it_watches(own, start=1)  # the tests may run in any order
    waiting = own.standby()
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
        wait_until(lambda: waiting.pid in pids(own, "outgoing"), "it sends messages too", 60)
        kill([waiting])
        alice.receive(1, first=2)
        alice.wait_until_delivered(3)
    wait_until_it_watches(own, start=2)


def take_over(product: Product) -> psutil.Process:
    """Kills the worker; returns the standby process once it dispatches."""
    wait_until_it_watches(product, start=1)
    working = product.standby()
    kill(worker_processes(product))
    wait_until(lambda: working.pid in pids(product, "dispatch"), "it has taken over", 60)
    return working


def start_again(product: Product) -> None:
    product.reader.join(STOP_SECONDS)
    product.lines.clear()  # else what an earlier standby process printed would be counted
    product.start()
    product.wait_for("Ready")


def test_sigterm_ends_it_while_it_works_and_no_hook_is_sent_twice(own: Product) -> None:
    working = take_over(own)
    server = Endpoint()
    server.fast = 10
    with Receiver(server) as receiver:
        alice = create_product_instance(own.environment, receiver.url)
        alice.receive(100)
        receiver.wait_for(10, 60)
        assert own.process
        own.process.terminate()  # Product.stop() would kill what is left
        assert own.process.wait(STOP_SECONDS) == 0
        assert still_running([working], 1) == []
        assert len(receiver.requests) < 100
        server.fast = ALWAYS
        start_again(own)
        alice.wait_until_delivered(100)
        bodies = [int(request.json()["messages"][0]["body"]) for request in receiver.requests]
        assert bodies == list(range(100))
        alice.delete()


def test_kill_9_of_up_ends_it_while_it_works(own: Product) -> None:
    working = take_over(own)
    assert own.process
    family = own.processes()
    assert working in family
    own.process.kill()
    own.process.wait()
    assert still_running(family) == []
    start_again(own)


def test_it_outlives_the_worker_and_is_replaced_after_its_takeover(own: Product) -> None:
    first = take_over(own)

    def replacement() -> psutil.Process | None:
        """The only standby process, once it is not the first."""
        found = standbys(own)
        assert len(found) < 2
        return next((process for process in found if process != first), None)

    second = wait_until(replacement, "the worker has started another one", 3 * standby.TAKEOVER_SECONDS)
    assert second is not None
    wait_until(lambda: not first.is_running(), "`up` has reaped the first one")
    worker = own.part("manage.py", "worker")
    up = psutil.Process(worker.ppid())
    # a fork of the worker, but no child of it
    wait_until(lambda: second.ppid() == up.pid, "`up` has adopted the second one")
    assert second.cmdline() == worker.cmdline()

    def dispatches() -> bool:
        """Whether the worker, or what it has started by now, dispatches."""
        return bool({process.pid for process in worker_processes(own)} & set(pids(own, "dispatch")))

    wait_until(dispatches, "the worker dispatches again", 60)

    def ended_children() -> list[psutil.Process]:
        return [child for child in up.children() if child.status() == psutil.STATUS_ZOMBIE]

    wait_until(lambda: not ended_children(), "`up` has reaped what it adopted")
    assert own.stop() == 0
    start_again(own)


def standbys(product: Product) -> list[psutil.Process]:
    """The standby processes that run."""
    found = []
    for process in product.processes():
        with suppress(psutil.NoSuchProcess):
            if process.name() == NAME and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.mark.django_db(transaction=True)
def test_a_slot_that_was_never_held_is_left_to_the_worker_for_some_seconds(
    monkeypatch: pytest.MonkeyPatch, session: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    taken: list[float] = []
    monkeypatch.setattr(standby, "PATIENCE_SECONDS", 3600.0)
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
