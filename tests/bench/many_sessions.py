"""How much memory and CPU the product needs for many sessions of personal WhatsApp, at the double of a WAHA server.

`python -m tests.bench.many_sessions [--instances 500] [--seconds 120]` links the instances, waits until each session
has its webhook, and prints what each process needs: at rest, and for a message to each session and
from each. The double is threads of Python in a process of its own, on the same cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import django
import psutil

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from tests.bench.doubles import running_double  # noqa: E402 - they need the settings
from tests.bench.many_streams import count  # noqa: E402
from tests.faults import victims  # noqa: E402
from tests.faults.product_instance import shell  # noqa: E402
from tests.hooks.dispatch.dispatching import wait_until  # noqa: E402
from tests.product import Product  # noqa: E402

WAIT = 900.0  # s
NEW_LINKS = """
from accounts.models import Account
from instances.actions.channel_links import save_link
from instances.actions.lifecycle import create_instance
from instances.models import Instance
account = Account.objects.order_by("id").first()
for credentials, external_id, options in {links!r}:
    instance = create_instance(account)
    Instance.objects.filter(pk=instance.pk).update(channel="waha")
    instance.refresh_from_db()
    save_link(instance, credentials=credentials, external_id=external_id, options=options, acting_user=None)
"""
ANSWERS = """
from instances.actions.sending.accept import send_message
from instances.models import Instance
for instance in Instance.objects.filter(channel="waha"):
    send_message(instance, chat_id="17680560000@c.us", body="an answer")
"""
WORKING = (
    "SELECT count(*) FROM instances_instance WHERE channel = 'waha' AND account_status = 'authenticated'"
)
RECEIVED = "SELECT count(*) FROM instances_message WHERE NOT from_me AND body = 'message 0'"
SENT = "SELECT count(*) FROM instances_message WHERE from_me AND body = 'an answer' AND messenger_id <> ''"

Processes = Mapping[str, list[psutil.Process]]


def processes_of(product: Product) -> Processes:
    """Returns the processes by what they do; PostgreSQL's are its sessions too."""
    found = {
        "web server": [victims.web(product)],
        "receiver": [victims.receiver(product)],
        "sender": [victims.sender(product)],
        "PostgreSQL": with_children(victims.database(product)),
    }
    known = {one.pid for group in found.values() for one in group}
    return {**found, "the others": [one for one in product.processes() if one.pid not in known]}


def with_children(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def cpu(group: list[psutil.Process]) -> float:
    """Returns seconds. A session of PostgreSQL that ends is counted by its parent."""
    total = 0.0
    for process in group:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def memory(group: list[psutil.Process]) -> float:
    """Returns megabytes; a page that several processes share counts once (PSS)."""
    total = 0.0
    for process in group:
        try:
            total += process.memory_full_info().pss / 1e6
        except psutil.NoSuchProcess:
            continue
    return total


def spent(processes: Processes, work: Callable[[], object]) -> dict[str, float]:
    """Returns the CPU seconds of each group during the work."""
    before = {name: cpu(group) for name, group in processes.items()}
    work()
    return {name: cpu(group) - before[name] for name, group in processes.items()}


def report(what: str, figures: Mapping[str, float], unit: str, decimals: int = 1) -> None:
    listed = " · ".join(f"{name} {figure:.{decimals}f}" for name, figure in figures.items())
    print(f"{what} ({unit}): {listed}", flush=True)


def measure(instances: int, seconds: float) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_double("waha") as double,
        Product(
            Path(folder) / "product", HOOKS_ALLOW_NETWORKS="127.0.0.0/8", QUOTA_INSTANCES="10000"
        ) as product,
    ):
        link(product, double, 1)
        report("memory with one instance", memories(product), "MB", 0)
        began = time.monotonic()
        link(product, double, instances - 1)
        print(f"{instances} instances are linked after {time.monotonic() - began:.0f} s", flush=True)
        time.sleep(seconds)
        processes = processes_of(product)
        at_rest = spent(processes, lambda: time.sleep(seconds))
        report("CPU at rest", {name: 100 * one / seconds for name, one in at_rest.items()}, "% of a core")
        report("memory at rest", memories(product), "MB", 0)
        for what, begin, sql in (
            ("a message to each", lambda: double.write(1), RECEIVED),
            ("a message from each", lambda: shell(product.environment, ANSWERS), SENT),
        ):
            began = time.monotonic()
            used = spent(processes, lambda: begin_and_wait(product, begin, sql, instances))  # noqa: B023
            print(f"{what}: recorded after {time.monotonic() - began:.1f} s", flush=True)
            report(what, {name: 1000 * one / instances for name, one in used.items()}, "ms of CPU each")
        report("memory then", memories(product), "MB", 0)


def begin_and_wait(product: Product, begin: Callable[[], object], sql: str, instances: int) -> None:
    begin()
    wait_until(lambda: count(product, sql) == instances, "all are recorded", WAIT)


def memories(product: Product) -> dict[str, float]:
    return {name: memory(group) for name, group in processes_of(product).items()}


def link(product: Product, double: Any, number: int) -> None:
    """Link new instances; returns when each session sends its events, and works."""
    links = [tuple(one) for one in double.add(number)]
    shell(product.environment, NEW_LINKS.format(links=links))
    all_of_them = double.number()
    wait_until(lambda: double.configured() == all_of_them, "each session has its webhook", WAIT)
    wait_until(lambda: count(product, WORKING) == all_of_them, "each session is known to work", WAIT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.bench.many_sessions")
    parser.add_argument("--instances", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=120.0)
    given = parser.parse_args()
    measure(given.instances, given.seconds)
