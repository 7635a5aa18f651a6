"""Two machines and their database in a network; the machine at work is cut off from the database, under load.

No packet gets through and no connection is closed, as when a cable is pulled or a machine loses its power. The machine
that is cut off still reaches the webhooks.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
import requests

from hooks.models import Role
from hooks.worker_slots import SLOT_LOCK
from tests.faults.machines import DATABASE_NETWORK, OUTSIDE_NETWORK, Host, Network, ReachableDatabase
from tests.faults.product_instance import CHECK
from tests.faults.steady_load import IN_FLIGHT_SECONDS, SteadyLoad
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import ROOT, Product
from tests.product_shell import shell
from tests.receiver import Receiver
from tests.rest import Rest

PORT = 8000  # of each machine, in its own network
SECONDS = 120.0  # for what a slow machine takes long for
HOLDERS = """
    SELECT lock.classid::bigint, host(session.client_addr) FROM pg_locks lock JOIN pg_stat_activity session USING (pid)
    WHERE lock.locktype = 'advisory' AND lock.objsubid = 2 AND lock.granted AND lock.classid = ANY(%s)
"""
SLOTS = {SLOT_LOCK[Role.DISPATCH], SLOT_LOCK[Role.OUTGOING]}


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as made:
        yield made


@pytest.fixture
def database(network: Network, tmp_path: Path) -> Iterator[ReachableDatabase]:
    made = ReachableDatabase(tmp_path, network)
    yield made
    made.stop()


class MachineProduct(Product):
    """`manage.py up` on one of the machines. The other one and the outside know it by its address."""

    def __init__(self, database: ReachableDatabase, machine: Host, folder: Path) -> None:
        address = f"{OUTSIDE_NETWORK}.{machine.number}"
        super().__init__(
            folder / machine.name, PORT, python=(*machine.prefix, sys.executable),
            DATABASE_URL=database.tcp_url, HOST=address, SITE_URL=f"http://{address}:{PORT}",
            HOOKS_ALLOW_NETWORKS=f"{OUTSIDE_NETWORK}.0/24", API_RATE="100000/min",
            SECRETS_KEY=database.environment["SECRETS_KEY"], SECRET_KEY="of-both-machines-" * 4,
        )  # fmt: skip
        self.machine, self.url = machine, f"http://{address}:{PORT}"
        self.data_dir.mkdir()

    def holds_slots(self, database: ReachableDatabase) -> bool:
        """Returns whether this machine has the slots of the dispatcher and of the sender."""
        with psycopg.connect(database.url) as session:
            held = session.execute(HOLDERS, [list(SLOTS)]).fetchall()
        return set(held) == {(slot, f"{DATABASE_NETWORK}.{self.machine.number}") for slot in SLOTS}

    def readiness(self) -> tuple[int, str]:
        """Returns the status code of /readyz, and the reason."""
        response = requests.get(f"{self.url}/readyz", timeout=SECONDS)
        return response.status_code, response.json().get("reason", "")

    def has_printed(self, text: str) -> bool:
        return any(text in line for line in list(self.lines))

    def doctor(self) -> str:
        """Returns what `manage.py doctor` prints there."""
        return subprocess.run(
            [*self.python, "manage.py", "doctor"], cwd=ROOT, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS,
        ).stdout  # fmt: skip


@pytest.mark.allow_hosts([f"{OUTSIDE_NETWORK}.2", f"{OUTSIDE_NETWORK}.3"])
def test_the_other_machine_takes_over_from_one_that_is_cut_off(
    network: Network, database: ReachableDatabase, tmp_path: Path
) -> None:
    first, second = (MachineProduct(database, machine, tmp_path) for machine in network.machines)
    # On the second machine's data, and by the database's Unix socket.
    environment = second.environment | {"DATABASE_URL": database.url}
    shell(environment, CHECK.format(arguments=["demo", "--force"]))
    try:
        first.start()
        wait_until(lambda: first.holds_slots(database), "the first machine has the slots", SECONDS)
        second.start()
        with network.outside.entered(), Receiver(host=f"{OUTSIDE_NETWORK}.1") as receiver:
            for product in (first, second):
                product.wait_for("Ready")
            rest = Rest(second)
            rest.call(
                "PATCH",
                rest.home,
                json={
                    "webhookUrl": receiver.url,
                    "parallelHooks": True,
                    "guaranteedHooks": True,
                    "sendDelay": 0,
                },
            )
            with SteadyLoad(rest, receiver) as load:
                load.wait_for_requests()
                assert first.holds_slots(database)
                cut_at = time.monotonic()
                network.cut(first.machine)
                wait_until(lambda: second.holds_slots(database), "the slots have moved", SECONDS)
                moved_at = time.monotonic()
                load.wait_for_requests()
                # what each side sees
                assert first.readiness() == (503, "The database does not respond.")
                assert "The database does not respond." in first.doctor()
                for text in (
                    "the database has not responded for 4 s; no request is started",
                    "claimer: the database does not respond",
                ):  # in any order: a slow machine may be late with the first
                    wait_until(partial(first.has_printed, text), text, SECONDS)
                second.wait_for("Dispatcher 0 started")
                network.heal(first.machine)
                first.wait_for("Dispatcher 0 ended")
                wait_until(lambda: first.readiness()[0] == 200, "the first machine is ready", SECONDS)
        assert not load.missing()
        assert not load.repeated_messages()
        for at in load.repeated_hooks().values():
            assert cut_at - IN_FLIGHT_SECONDS < at < moved_at, "it was in flight"
        for command in ("hooks", "messages"):
            shell(environment, CHECK.format(arguments=[command, "check"]))
    finally:
        for product in (first, second):
            if product.process:
                product.stop()
