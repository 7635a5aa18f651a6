"""How much memory and CPU one receiver needs for many XMPP streams, at a real Prosody.

`python -m tests.bench.many_streams [--instances 500] [--seconds 60]` links the instances, waits until all are
connected, and prints the receiver's figures: idle, and while each account gets a message.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import django
import psutil
import psycopg

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from tests.faults import victims  # noqa: E402 - they need the settings
from tests.faults.product_instance import database_of  # noqa: E402
from tests.hooks.dispatch.dispatching import wait_until  # noqa: E402
from tests.product import Product  # noqa: E402
from tests.product_shell import shell  # noqa: E402
from tests.servers.prosody import Prosody  # noqa: E402
from tests.servers.xmpp_client import Client  # noqa: E402

NEW_LINKS = """
from accounts.models import Account
from instances.actions.channel_links import save_link
from instances.actions.lifecycle import create_instance
from instances.models import Instance
account = Account.objects.order_by("id").first()
for jid in {jids!r}:
    instance = create_instance(account)
    Instance.objects.filter(pk=instance.pk).update(channel="xmpp", account_status="authenticated")
    instance.refresh_from_db()
    save_link(instance, credentials={{"password": "a password"}}, external_id=jid,
        options={{"host": "127.0.0.1", "port": "{port}"}}, acting_user=None)
"""
CONNECTED = "SELECT count(*) FROM instances_receiverstate WHERE connected_at IS NOT NULL"
RECEIVED = "SELECT count(*) FROM instances_message WHERE NOT from_me AND body = 'to all'"


def count(product: Product, sql: str) -> int:
    with psycopg.connect(database_of(product.environment)) as session:
        row = session.execute(sql).fetchone()
    return row[0] if row else 0


def cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def memory_of(process: psutil.Process) -> float:
    """Returns the megabytes that the process has for itself (USS) or shares."""
    return float(process.memory_info().rss) / 1e6


def measure(instances: int, seconds: float) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Prosody(Path(folder) / "prosody") as prosody,
        Product(
            Path(folder) / "product", HOOKS_ALLOW_NETWORKS="127.0.0.0/8", QUOTA_INSTANCES="10000"
        ) as product,
    ):
        jids = [prosody.register("bot").jid for _ in range(instances)]
        link(product, prosody, jids[:1])
        wait_until(lambda: count(product, CONNECTED) == 1, "the first is connected", 120)
        receiver = victims.receiver(product)
        before = memory_of(receiver)
        began, cpu = time.monotonic(), cpu_of(receiver)
        link(product, prosody, jids[1:])
        wait_until(lambda: count(product, CONNECTED) == instances, "all are connected", 600)
        took, spent = time.monotonic() - began, cpu_of(receiver) - cpu
        cpu = cpu_of(receiver)
        time.sleep(seconds)
        idle = (cpu_of(receiver) - cpu) / seconds
        print(
            f"{instances} streams: {memory_of(receiver):.0f} MB ({before:.0f} MB with one), connected after "
            f"{took:.0f} s with {spent / instances * 1000:.1f} ms of CPU each; idle {idle * 100:.1f} % of a core"
        )
        with Client(prosody.register("ann")) as ann:
            began, cpu = time.monotonic(), cpu_of(receiver)
            for jid in jids:
                ann.write(jid, "to all")
            wait_until(lambda: count(product, RECEIVED) == instances, "all are recorded", 600)
        took, spent = time.monotonic() - began, cpu_of(receiver) - cpu
        print(
            f"a message to each: recorded after {took:.1f} s, {spent / instances * 1000:.1f} ms of CPU each"
        )
        print(f"then {memory_of(receiver):.0f} MB")


def link(product: Product, prosody: Prosody, jids: list[str]) -> None:
    shell(product.environment, NEW_LINKS.format(jids=jids, port=prosody.port))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.bench.many_streams")
    parser.add_argument("--instances", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    measure(given.instances, given.seconds)
