"""kill -9 during a redelivery: it resumes, and every hook is sent."""

import re
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.product_instance import Subject, kill, shell, subject, worker_processes
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import Product
from tests.receiver import Answer, Received, Receiver

HOOKS = 400

PLAN = """
from hooks.actions import redelivery
from instances.models import Instance
print(redelivery.plan(Instance.objects.filter(pk={pk}), {{"states": ["failed"]}}, acting_user=None).pk)
"""
PROGRESS = """
from hooks.actions import redelivery
from hooks.models import Redelivery
job = Redelivery.objects.with_totals().get(pk={job})
print(job.state, job.planned, job.done, job.refused, redelivery.outcomes(job)["delivered"])
"""


class Server:
    """Fails all, until it is put right; then answers after 10 ms, so that a job lasts for a few kills."""

    right = False

    def __call__(self, received: Received) -> Answer:
        if self.right:
            time.sleep(0.01)
        return (200 if self.right else 500), {}, b""


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def receiver(server: Server) -> Iterator[Receiver]:
    with Receiver(server) as receiver:
        yield receiver


@pytest.fixture
def alice(product: Product, receiver: Receiver) -> Iterator[Subject]:
    """An instance whose hooks go to the receiver, one at a time, with one attempt each."""
    made = subject(product.environment, receiver.url)
    yield made
    made.delete()


def progress(alice: Subject, job: str) -> tuple[str, list[int]]:
    """The job's state; planned, put on their way, refused, delivered."""
    state, *numbers = shell(alice.environment, PROGRESS.format(job=job)).split()
    return state, [int(number) for number in numbers]


def test_the_worker_dies_three_times_and_every_hook_of_the_job_is_sent_again(
    product: Product, alice: Subject, server: Server, receiver: Receiver
) -> None:
    alice.receive(HOOKS)
    wait_until(lambda: alice.counts()["failed"] == HOOKS, "all hooks have failed", 90)
    failed = Counter(request.headers["webhook-id"] for request in receiver.requests)
    assert len(failed) == HOOKS
    receiver.requests.clear()
    server.right = True

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
