"""Patroni changes the primary under load: planned, and after a kill of the primary and its Patroni.

How long deliveries pause is measured by tests/bench/failover.py.
"""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.patroni import Cluster, wait_for_promotion
from tests.faults.product_instance import CHECK
from tests.faults.steady_load import IN_FLIGHT_SECONDS, SteadyLoad
from tests.product import Product
from tests.product_shell import shell
from tests.receiver import Receiver
from tests.rest import Rest


def test_nothing_is_lost_when_patroni_changes_the_primary(tmp_path: Path) -> None:
    with (
        Cluster(tmp_path) as cluster,
        Receiver() as receiver,
        product_on(cluster, tmp_path / "product") as product,
    ):
        rest = demo_instance(product, receiver)
        cluster.wait_until_synchronous()
        first, second = cluster.primary(), cluster.standby()
        moments: list[tuple[float, float]] = []
        with SteadyLoad(rest, receiver) as load:
            load.wait_for_requests()
            began = time.monotonic()
            cluster.switch_over()
            moments.append((began, wait_for_promotion(second)))
            load.wait_for_requests()
            cluster.wait_until_synchronous()
            began = time.monotonic()
            second.kill()
            second.release_leader()
            moments.append((began, wait_for_promotion(first)))
            load.wait_for_requests()
        assert not load.missing()
        assert not load.repeated_messages()
        for at in load.repeated_hooks().values():
            assert any(begin - IN_FLIGHT_SECONDS < at < end for begin, end in moments), "it was in flight"
        for command in ("hooks", "messages"):
            shell(product.environment, CHECK.format(arguments=[command, "check"]))


def product_on(cluster: Cluster, folder: Path) -> Product:
    return Product(
        folder, DATABASE_URL=cluster.url, HOOKS_ALLOW_NETWORKS="127.0.0.0/8", API_RATE="100000/min",
        CONTRACT_CALLS_PER_MINUTE="100000", CONTRACT_ACCOUNT_CALLS_PER_MINUTE="100000",
    )  # fmt: skip


def demo_instance(product: Product, receiver: Receiver) -> Rest:
    """Creates the demo account, and has its instance deliver to the receiver."""
    done = product.manage("demo", "--force")
    assert done.returncode == 0, done.stdout + done.stderr
    rest = Rest(product)
    rest.call(
        "PATCH",
        rest.home,
        json={"webhookUrl": receiver.url, "parallelHooks": True, "guaranteedHooks": True, "sendDelay": 0},
    )
    return rest
