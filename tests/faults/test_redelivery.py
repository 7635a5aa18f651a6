"""kill -9 during a redelivery: it resumes, and every hook is sent."""

import re
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.product_instance import ProductInstance, create_product_instance, kill, worker_processes
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import Product
from tests.product_shell import shell
from tests.receiver import Answer, Received, Receiver

HOOKS = 400

PLAN = """
from hooks.actions import redelivery
from instances.models import Instance
print(redelivery.plan(Instance.objects.filter(pk={pk}), wanted={{"states": ["failed"]}}, acting_user=None).pk)
"""
PROGRESS = """
from hooks.actions import redelivery
from hooks.models import Redelivery
job = Redelivery.objects.with_totals().get(pk={job})
print(job.state, job.planned, job.done, job.refused, redelivery.outcomes(job)["delivered"])
"""


class Server:
    """Fails every request until it works; then responds after 10 ms, so that a job lasts for a few kills."""

    works = False

    def __call__(self, received: Received) -> Answer:
        if self.works:
            time.sleep(0.01)
        return (200 if self.works else 500), {}, b""


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def receiver(server: Server) -> Iterator[Receiver]:
    with Receiver(server) as receiver:
        yield receiver


@pytest.fixture
def alice(product: Product, receiver: Receiver) -> Iterator[ProductInstance]:
    """An instance whose hooks go to the receiver, one at a time, with one attempt each."""
    made = create_product_instance(product.environment, receiver.url)
    yield made
    made.delete()


def progress(alice: ProductInstance, job: str) -> tuple[str, list[int]]:
    """Returns the job's state, and how many hooks are planned, done, refused and delivered."""
    state, *numbers = shell(alice.environment, PROGRESS.format(job=job)).split()
    return state, [int(number) for number in numbers]


def test_the_worker_is_killed_three_times_and_every_hook_of_the_job_is_resent(
    product: Product, alice: ProductInstance, server: Server, receiver: Receiver
) -> None:
    alice.receive(HOOKS)
    wait_until(lambda: alice.counts()["failed"] == HOOKS, "all hooks have failed", 90)
    failed = Counter(request.headers["webhook-id"] for request in receiver.requests)
    assert len(failed) == HOOKS
    receiver.requests.clear()
    server.works = True

    job = shell(alice.environment, PLAN.format(pk=alice.pk)).strip()
    assert re.fullmatch(r"\d+", job)
    for killed in range(3):
        receiver.wait_for(80 * (killed + 1), 60)
        kill(worker_processes(product))
    wait_until(lambda: progress(alice, job)[0] == "finished", "the job has finished", 90)
    alice.wait_until_delivered(HOOKS)

    assert progress(alice, job) == ("finished", [HOOKS, HOOKS, 0, HOOKS])
    sent = Counter(request.headers["webhook-id"] for request in receiver.requests)
    assert sent.keys() == failed.keys()
    # Hooks in flight at a kill, or sent just before and not recorded yet, are sent a second time.
    assert sum(sent.values()) - HOOKS <= 3 * 20
