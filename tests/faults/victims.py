"""The processes of a running product that a fault can kill, by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import psutil

from tests.faults.product_instance import pids_of_role, worker_processes
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import Product


def run_of(product: Product, role: str) -> psutil.Process:
    """Returns the process that runs an endless task of this role."""

    def find() -> psutil.Process | None:
        pids = pids_of_role(product.environment, role)
        return next((process for process in product.processes() if process.pid in pids), None)

    return wait_until(find, f"a process has the role {role}", 60)


def dispatcher(product: Product) -> psutil.Process:
    return run_of(product, "dispatch")


def sender(product: Product) -> psutil.Process:
    return run_of(product, "outgoing")


def receiver(product: Product) -> psutil.Process:
    """Returns a receiver. Not among VICTIMS: without a channel that is received from, none runs."""
    return run_of(product, "receiving")


def idle_worker(product: Product) -> psutil.Process:
    """Returns a process of the pool that waits for a task: it has no database session and no child."""

    def find() -> psutil.Process | None:
        pids = pids_of_role(product.environment, "dispatch")
        with suppress(psutil.NoSuchProcess):
            pool = [process for process in worker_processes(product) if not process.children()]
            return next((process for process in reversed(pool) if process.pid not in pids), None)
        return None

    return wait_until(find, "a process of the pool waits for a task", 60)


def sentinel(product: Product) -> psutil.Process:
    """Returns the only child of the cluster's main process, which may have just started."""

    def find() -> psutil.Process | None:
        with suppress(psutil.NoSuchProcess):
            [found] = cluster(product).children() or [None]
            return found
        return None

    return wait_until(find, "the cluster has its sentinel", 60)


def cluster(product: Product) -> psutil.Process:
    return product.cluster()


def worker(product: Product) -> psutil.Process:
    return product.part("manage.py", "worker")


def web(product: Product) -> psutil.Process:
    return product.part("-m", "chatapi.runtime.web")


def database(product: Product) -> psutil.Process:
    """Returns PostgreSQL's main process."""
    return product.part("-D")


VICTIMS: dict[str, Callable[[Product], psutil.Process]] = {
    victim.__name__: victim
    for victim in (dispatcher, sender, idle_worker, sentinel, cluster, worker, web, database)
}
