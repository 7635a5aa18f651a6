"""kill -9 under the real product: nothing is lost, and no manual step is needed."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest

from tests.faults.product_instance import DISPATCHERS, Subject, kill, shell, subject, worker_processes
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import Product
from tests.receiver import Answer, Received, Receiver

HOOKS = 500
ALWAYS = 10 * HOOKS


class Endpoint:
    """Answers 200 after 10 ms; those after the first `fast` after 200 ms, so that a backlog outlives a slow kill."""

    def __init__(self) -> None:
        self.fast = ALWAYS
        self.arrived = 0

    def __call__(self, received: Received) -> Answer:
        self.arrived += 1
        time.sleep(0.2 if self.arrived > self.fast else 0.01)
        return 200, {}, b""


@pytest.fixture
def answers() -> Endpoint:
    return Endpoint()


@pytest.fixture
def receiver(answers: Endpoint) -> Iterator[Receiver]:
    with Receiver(answers) as receiver:
        yield receiver


@pytest.fixture
def alice(product: Product, receiver: Receiver) -> Iterator[Subject]:
    """An instance whose hooks go to the receiver, one at a time."""
    made = subject(product.environment, receiver.url)
    yield made
    made.delete()


def bodies(receiver: Receiver) -> Counter[str]:
    """The messages that have arrived, and how often."""
    return Counter(request.json()["messages"][0]["body"] for request in receiver.requests)


def ids(receiver: Receiver) -> set[str]:
    return {request.headers["webhook-id"] for request in receiver.requests}


def test_all_the_workers_processes_die_three_times_under_500_hooks(
    product: Product, alice: Subject, receiver: Receiver, answers: Endpoint
) -> None:
    answers.fast = 100
    alice.receive(HOOKS)
    for killed in range(1, 4):
        receiver.wait_for(100 * killed, 60)
        kill(worker_processes(product))
        assert len(receiver.requests) < HOOKS
        answers.fast = 100 * (killed + 1)
    answers.fast = ALWAYS
    alice.wait_until_delivered(HOOKS)
    arrived = bodies(receiver)
    assert set(arrived) == {str(number) for number in range(HOOKS)}
    assert len(ids(receiver)) == HOOKS
    # more than once only what was under way, or answered and not yet written, at a kill
    assert sum(arrived.values()) - HOOKS <= 3 * 20
    counts = alice.counts()
    assert counts["emitted"] - counts["skipped"] == counts["delivered"] == HOOKS


def test_everything_dies_and_the_next_start_delivers_the_rest(
    product: Product, alice: Subject, receiver: Receiver, answers: Endpoint
) -> None:
    answers.fast = 100
    alice.receive(HOOKS)
    receiver.wait_for(100, 60)
    kill(product.processes())
    assert len(receiver.requests) < HOOKS
    answers.fast = ALWAYS
    product.start()
    product.wait_for(f"Ready: http://localhost:{product.port}")
    alice.wait_until_delivered(HOOKS)
    assert set(bodies(receiver)) == {str(number) for number in range(HOOKS)}
    assert len(ids(receiver)) == HOOKS


def dispatcher(product: Product) -> psutil.Process:
    """The pool's process that runs the dispatcher."""
    pids = json.loads(shell(product.environment, DISPATCHERS))
    return next(process for process in worker_processes(product) if process.pid in pids)


def idle_worker(product: Product) -> psutil.Process:
    """A process of the pool that waits for a task: no session with the database, no child."""
    pids = json.loads(shell(product.environment, DISPATCHERS))
    pool = [process for process in worker_processes(product) if not process.children()]
    return next(process for process in reversed(pool) if process.pid not in pids)


def sentinel(product: Product) -> psutil.Process:
    """The only child of the cluster's main process."""
    [found] = cluster(product).children()
    return found


def cluster(product: Product) -> psutil.Process:
    return product.part("-m", "chatapi.runtime.cluster")


def web(product: Product) -> psutil.Process:
    return product.part("-m", "chatapi.runtime.web")


def database(product: Product) -> psutil.Process:
    """PostgreSQL's own main process."""
    return next(process for process in product.processes() if "-D" in process.cmdline())


def is_ready(product: Product) -> bool:
    try:
        with urlopen(f"{product.url}/readyz", timeout=10):
            return True
    except (URLError, OSError):
        return False


@pytest.mark.parametrize(
    "victim",
    [dispatcher, idle_worker, sentinel, cluster, web, database],
    ids=lambda victim: victim.__name__,
)
def test_one_process_dies_and_the_hooks_go_on(
    product: Product, alice: Subject, receiver: Receiver, victim: Callable[[Product], psutil.Process]
) -> None:
    alice.receive(200)
    receiver.wait_for(20, 60)
    kill([victim(product)])
    wait_until(lambda: is_ready(product), "the product is ready again", 60)
    alice.receive(1, first=200)
    alice.wait_until_delivered(201)
    assert set(bodies(receiver)) == {str(number) for number in range(201)}
