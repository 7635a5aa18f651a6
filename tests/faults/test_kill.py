"""kill -9 of the real product's processes: nothing is lost, and no manual step is needed."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest

from hooks.models import Role
from tests.faults.databases import url_of
from tests.faults.product_instance import (
    ProductInstance,
    create_product_instance,
    kill,
    pids_of_role,
    worker_processes,
)
from tests.faults.victims import VICTIMS
from tests.hooks.dispatch.dispatching import Dispatch, wait_until
from tests.product import Product
from tests.receiver import Answer, Received, Receiver

HOOKS = 500
ALWAYS = 10 * HOOKS


class Endpoint:
    """Responds with 200 after 10 ms; after the first `fast` after 500 ms, so a backlog outlives a slow kill."""

    def __init__(self) -> None:
        self.fast = ALWAYS
        self.arrived = 0

    def __call__(self, received: Received) -> Answer:
        self.arrived += 1
        time.sleep(0.5 if self.arrived > self.fast else 0.01)
        return 200, {}, b""


@pytest.fixture
def server() -> Endpoint:
    return Endpoint()


@pytest.fixture
def receiver(server: Endpoint) -> Iterator[Receiver]:
    with Receiver(server) as receiver:
        yield receiver


@pytest.fixture
def alice(product: Product, receiver: Receiver) -> Iterator[ProductInstance]:
    """An instance whose hooks go to the receiver, one at a time."""
    made = create_product_instance(product.environment, receiver.url)
    yield made
    made.delete()


def bodies(receiver: Receiver) -> Counter[str]:
    """Returns the bodies of the messages that arrived, and how often each did."""
    return Counter(request.json()["messages"][0]["body"] for request in receiver.requests)


def ids(receiver: Receiver) -> set[str]:
    return {request.headers["webhook-id"] for request in receiver.requests}


def test_all_worker_processes_are_killed_three_times_during_500_hooks(
    product: Product, alice: ProductInstance, receiver: Receiver, server: Endpoint
) -> None:
    server.fast = 100
    alice.receive(HOOKS)
    for killed in range(1, 4):
        receiver.wait_for(100 * killed, 60)
        kill(worker_processes(product))
        assert len(receiver.requests) < HOOKS
        server.fast = 100 * (killed + 1)
    server.fast = ALWAYS
    alice.wait_until_delivered(HOOKS)
    arrived = bodies(receiver)
    assert set(arrived) == {str(number) for number in range(HOOKS)}
    assert len(ids(receiver)) == HOOKS
    # only hooks in flight at a kill, or with a response not recorded yet, arrive more than once
    assert sum(arrived.values()) - HOOKS <= 3 * 20
    counts = alice.counts()
    assert counts["emitted"] - counts["skipped"] == counts["delivered"] == HOOKS


def test_all_processes_are_killed_and_the_next_start_delivers_the_rest(
    product: Product, alice: ProductInstance, receiver: Receiver, server: Endpoint
) -> None:
    server.fast = 100
    alice.receive(HOOKS)
    receiver.wait_for(100, 60)
    kill(product.processes())
    assert len(receiver.requests) < HOOKS
    server.fast = ALWAYS
    product.start()
    product.wait_for(f"Ready: http://localhost:{product.port}")
    alice.wait_until_delivered(HOOKS)
    assert set(bodies(receiver)) == {str(number) for number in range(HOOKS)}
    assert len(ids(receiver)) == HOOKS


def is_ready(product: Product) -> bool:
    try:
        with urlopen(f"{product.url}/readyz", timeout=10):
            return True
    except (URLError, OSError):
        return False


@pytest.mark.parametrize("victim", VICTIMS.values(), ids=VICTIMS)
def test_one_process_is_killed_and_all_hooks_are_delivered(
    product: Product, alice: ProductInstance, receiver: Receiver, victim: Callable[[Product], psutil.Process]
) -> None:
    alice.receive(200)
    receiver.wait_for(20, 60)
    kill([victim(product)])
    wait_until(lambda: is_ready(product), "the product is ready again", 60)
    alice.receive(1, first=200)
    alice.wait_until_delivered(201)
    assert set(bodies(receiver)) == {str(number) for number in range(201)}


def test_sigterm_during_deliveries_loses_and_doubles_nothing(
    product: Product, alice: ProductInstance, receiver: Receiver, server: Endpoint
) -> None:
    """The requests in flight end, the others are sent by the next start, each once and in order."""
    server.fast = 50
    alice.receive(200)
    receiver.wait_for(50, 60)
    assert product.stop() == 0
    assert len(receiver.requests) < 200
    server.fast = ALWAYS
    product.start()
    product.wait_for(f"Ready: http://localhost:{product.port}")
    alice.wait_until_delivered(200)
    assert [int(request.json()["messages"][0]["body"]) for request in receiver.requests] == list(range(200))


def test_two_more_dispatchers_share_one_backlog(
    product: Product, receiver: Receiver, alice: ProductInstance, tmp_path: Path
) -> None:
    """With the worker's there are three; a lane belongs to one at a time."""
    bob = create_product_instance(product.environment, receiver.url)
    data = Path(product.environment["DATA_DIR"])
    keys = {"DATABASE_URL": url_of(data / "pg"), "SECRETS_KEY_FILE": str(data / "secrets_key")}
    with ExitStack() as ended:
        more = [Dispatch(tmp_path / str(number), **keys) for number in range(2)]
        for dispatcher in more:
            ended.push(dispatcher)
        pids = {dispatcher.process.pid for dispatcher in more}
        wait_until(
            lambda: pids < {*pids_of_role(product.environment, Role.DISPATCH)}, "three dispatchers run", 60
        )
        for instance in (alice, bob):
            instance.receive(300)
        for instance in (alice, bob):
            instance.wait_until_delivered(300)
        bob.delete()
    of_both: defaultdict[int, list[int]] = defaultdict(list)
    for request in receiver.requests:
        received = request.json()
        of_both[received["instanceId"]].append(int(received["messages"][0]["body"]))
    assert list(of_both.values()) == [list(range(300))] * 2
