"""`manage.py worker`: whatever of it is killed or freezes, there is a dispatcher again, without anyone's help."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.faults import victims
from tests.faults.product_instance import worker_processes
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import READY_SECONDS, STOP_SECONDS, Product, still_running

pytestmark = pytest.mark.timeout(2 * READY_SECONDS)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with Product(tmp_path_factory.mktemp("worker"), STANDBY="false") as product:  # the worker alone
        yield product


def pool(product: Product) -> tuple[psutil.Process, psutil.Process, list[psutil.Process]]:
    """The cluster's main process, its guard, and the guard's workers, pusher and monitor."""
    main, guard = product.cluster(), victims.sentinel(product)
    return main, guard, guard.children()


def dispatcher(product: Product) -> psutil.Process:
    return psutil.Process(int(product.wait_for("Dispatcher 0 started, pid ").split("pid ")[1].split()[0]))


def health_checks(product: Product) -> psutil.Process:
    return product.fork_of_worker("chatapi-health")


def stop_all_but(product: Product, wanted: psutil.Process) -> None:
    for process in pool(product)[2]:
        if process != wanted:
            process.kill()


def test_a_killed_dispatcher_has_a_successor(own: Product) -> None:
    own.restart_worker()
    first = dispatcher(own)
    first.kill()
    assert dispatcher(own).pid != first.pid
    own.wait_for_ready()


def test_a_worker_that_pauses_after_two_kills_is_waited_for(own: Product) -> None:
    killed = set()
    for _ in range(2):  # `up` starts it again at once, then after a pause
        worker = own.part("manage.py", "worker")
        killed.add(worker.pid)
        worker.kill()
        assert still_running([worker]) == []
    third = own.part("manage.py", "worker")
    assert third.is_running()
    assert third.pid not in killed
    own.wait_for_ready()


def test_the_worker_loads_the_program_once_for_all_its_processes(own: Product) -> None:
    health_checks(own), victims.sentinel(own)  # the last test's worker may have just started
    worker = own.part("manage.py", "worker")

    def forks() -> set[tuple[str, ...]]:
        """Name and command line of each; nothing while one that has ended is still listed."""
        with suppress(psutil.NoSuchProcess):
            return {(process.name(), *process.cmdline()) for process in worker_processes(own)[1:]}
        return set()

    # forks: a process that was loaded by itself has a command line of its own
    own_words = worker.cmdline()
    assert wait_until(forks, "no process of the worker is ending", 60) == {
        ("chatapi-cluster", *own_words),
        ("chatapi-health", *own_words),
    }
    # with more threads, or a session of the database, it could not be forked at any time
    assert worker.num_threads() == 1
    assert worker.net_connections("all") == []


def test_killed_health_checks_are_started_again(own: Product) -> None:
    first, cluster = health_checks(own), own.cluster()
    first.kill()
    own.wait_for("The process of the health checks ended; restarting it.")
    assert health_checks(own).pid != first.pid
    assert own.cluster() == cluster  # it was left alone


def test_a_killed_guard_takes_its_workers_along_and_the_cluster_begins_again(own: Product) -> None:
    own.restart_worker()
    first = dispatcher(own)
    main, guard, workers = pool(own)
    guard.kill()
    assert dispatcher(own).pid != first.pid
    assert still_running([main, guard, *workers]) == []


def test_a_queue_frozen_by_the_kill_of_its_idle_workers_is_begun_again(own: Product) -> None:
    own.restart_worker()
    first = dispatcher(own)
    victims.sender(own)  # either of the two may be the first
    stop_all_but(own, first)  # one of them waited with the queue's lock in its hand, and took it along
    own.wait_for("Restarting the worker's cluster: its queue is frozen.")
    assert dispatcher(own).pid != first.pid
    own.wait_for_ready()


def test_sigterm_ends_it_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    with Product(tmp_path) as product:
        family = worker_processes(product)
        assert product.process
        product.process.terminate()  # Product.stop() would kill what is left
        assert product.process.wait(STOP_SECONDS) == 0
        assert still_running(family, 1) == []
