"""`manage.py worker`: whatever of it is killed or freezes, there is a dispatcher again, without anyone's help."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.product import READY_SECONDS, Product

pytestmark = pytest.mark.timeout(2 * READY_SECONDS)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with Product(tmp_path_factory.mktemp("worker"), STANDBY="false") as product:  # the worker alone
        yield product


def pool(product: Product) -> tuple[psutil.Process, psutil.Process, list[psutil.Process]]:
    """The cluster's main process, its guard, and the guard's workers, pusher and monitor."""
    main = product.cluster()
    guard = product.first(main.children, lambda _only: True, "the cluster's guard")
    return main, guard, guard.children()


def dispatcher(product: Product) -> psutil.Process:
    return psutil.Process(int(product.wait_for("Dispatcher 0 started, pid ", 60).split("pid ")[1].split()[0]))


def health_checks(product: Product) -> psutil.Process:
    """The process of the health checks; a worker that was just started is waited for until it has it."""
    worker = product.part("manage.py", "worker")
    return product.first(worker.children, lambda child: child.name() == "chatapi-health", "the health checks")


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
        worker.wait(10)
    third = own.part("manage.py", "worker")
    assert third.is_running()
    assert third.pid not in killed
    own.wait_for_ready()


def test_the_worker_loads_the_program_once_for_all_its_processes(own: Product) -> None:
    health_checks(own), own.cluster()  # the last test's worker may have just started
    worker = own.part("manage.py", "worker")
    family = [worker, *worker.children(recursive=True)]
    assert {process.name() for process in family[1:]} == {"chatapi-cluster", "chatapi-health"}
    # forks: a process that was loaded by itself has a command line of its own
    assert {tuple(process.cmdline()) for process in family} == {tuple(worker.cmdline())}
    # with more threads, or a session of the database, it could not be forked at any time
    assert worker.num_threads() == 1
    assert worker.net_connections("all") == []


def test_killed_health_checks_are_started_again(own: Product) -> None:
    first = health_checks(own)
    first.kill()
    own.wait_for("The process of the health checks ended; restarting it.", 60)
    dispatcher_of = own.cluster()
    assert health_checks(own).pid != first.pid
    assert dispatcher_of.is_running()  # the cluster was left alone


def test_a_killed_guard_takes_its_workers_along_and_the_cluster_begins_again(own: Product) -> None:
    own.restart_worker()
    first = dispatcher(own)
    main, guard, workers = pool(own)
    guard.kill()
    assert dispatcher(own).pid != first.pid
    _gone, left = psutil.wait_procs([main, guard, *workers], timeout=10)
    assert left == []


def test_a_queue_frozen_by_the_kill_of_its_idle_workers_is_begun_again(own: Product) -> None:
    own.restart_worker()
    before = len(own.lines)
    first = dispatcher(own)
    outgoing = "Outgoing queue 0 started, pid "
    if not any(outgoing in line for line in own.lines[before:]):  # either of the two may be the first
        own.wait_for(outgoing, 60)
    stop_all_but(own, first)  # one of them waited with the queue's lock in its hand, and took it along
    own.wait_for("Restarting the worker's cluster: its queue is frozen.", 60)
    assert dispatcher(own).pid != first.pid
    own.wait_for_ready()


def test_sigterm_ends_it_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    with Product(tmp_path) as product:
        worker = product.part("manage.py", "worker")
        family = [worker, *worker.children(recursive=True)]
        assert product.stop() == 0
    _gone, left = psutil.wait_procs(family, timeout=1)
    assert left == []
