"""Hosts in network namespaces: a database, two machines, and the world outside; and a cut of a machine's cable.

The machines reach the database over one network, and the outside over another. Nothing leaves the namespaces: they have
no link to this machine's own network. The kernel removes them with the last process in them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.postgres.discovery import NAME
from chatapi.runtime.postgres.system_user import prefix
from tests.faults.databases import Database
from tests.hooks.dispatch.dispatching import wait_until
from tests.requirements import cannot_run

DATABASE_NETWORK, OUTSIDE_NETWORK = "198.18.0", "198.18.1"  # RFC 2544: reserved for tests of networks
BRIDGE = "bridge0"
DISABLED, FORWARDING = "0", "3"  # states of a bridge's port (802.1D)
NEW_NETWORK = 0x40000000  # CLONE_NEWNET

libc = ctypes.CDLL(None, use_errno=True)


class Host:
    """A network namespace, kept by a process that sleeps. Its addresses end with its number."""

    def __init__(self, name: str, number: int) -> None:
        self.name, self.number = name, number
        self.keeper = subprocess.Popen(
            [*prefix(None, [], die_with_parent=True), "unshare", "--net", "sleep", "infinity"],
            stdin=subprocess.DEVNULL,
        )
        self.namespace = Path(f"/proc/{self.keeper.pid}/ns/net")
        own = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(self.namespace) != own, f"the namespace of {name} exists")
        self.ip("link", "set", "lo", "up")

    @property
    def prefix(self) -> list[str]:
        """The start of the command line of a program that runs there."""
        return ["nsenter", f"--net={self.namespace}", "--"]

    def run(self, *words: str) -> None:
        done = subprocess.run([*self.prefix, *words], capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stderr}"

    def ip(self, *words: str) -> None:
        self.run("ip", *words)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Moves this thread there during the block, with the threads and processes that it starts meanwhile."""
        with open("/proc/thread-self/ns/net") as before:
            enter(self.namespace)
            try:
                yield
            finally:
                set_namespace(before.fileno())

    def stop(self) -> None:
        self.keeper.kill()
        self.keeper.wait(10)


def enter(namespace: Path) -> None:
    with open(namespace) as opened:
        set_namespace(opened.fileno())


def set_namespace(opened: int) -> None:
    if libc.setns(opened, NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")


class Network:
    """`with Network() as network:` connects the hosts `database`, `outside`, and the two of `machines`."""

    def __enter__(self) -> Network:
        if os.getuid() != 0 or not shutil.which("ip") or not shutil.which("bridge"):
            cannot_run("Needs root, and `ip` and `bridge`: apt-get install iproute2")
        with contextlib.ExitStack() as held:
            self.database, self.outside, first, second = (
                self.add(name, number, held)
                for name, number in (("database", 1), ("outside", 1), ("first", 2), ("second", 3))
            )
            self.machines = (first, second)
            for center, network in ((self.database, DATABASE_NETWORK), (self.outside, OUTSIDE_NETWORK)):
                center.ip("link", "add", BRIDGE, "type", "bridge")
                center.ip("address", "add", f"{network}.1/24", "dev", BRIDGE)
                center.ip("link", "set", BRIDGE, "up")
                for machine in self.machines:
                    connect(center, machine, f"{network}.{machine.number}")
            self.held = held.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.held.close()

    @staticmethod
    def add(name: str, number: int, held: contextlib.ExitStack) -> Host:
        host = Host(name, number)
        held.callback(host.stop)
        return host

    def cut(self, machine: Host) -> None:
        """Drops each packet between the machine and the database. Neither side gets an error: its link stays up."""
        self.database.run("bridge", "link", "set", "dev", machine.name, "state", DISABLED)

    def heal(self, machine: Host) -> None:
        self.database.run("bridge", "link", "set", "dev", machine.name, "state", FORWARDING)


def connect(center: Host, machine: Host, address: str) -> None:
    """Connects the machine to the bridge; the interface there has the machine's name."""
    peer = ["peer", "name", f"to-{center.name}", "netns", str(machine.keeper.pid)]
    center.ip("link", "add", machine.name, "type", "veth", *peer)
    center.ip("link", "set", machine.name, "master", BRIDGE, "up")
    machine.ip("address", "add", f"{address}/24", "dev", f"to-{center.name}")
    machine.ip("link", "set", f"to-{center.name}", "up")


class ReachableDatabase(Database):
    """A PostgreSQL server on the host `database`. This machine reaches it by its Unix socket, the machines by TCP."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.network = network
        super().__init__(folder)

    def start(self) -> None:
        with open(self.path / "data" / "pg_hba.conf", "a") as rules:
            rules.write(f"host all all {DATABASE_NETWORK}.0/24 trust\n")
        listening = {"listen_addresses": f"{DATABASE_NETWORK}.{self.network.database.number}"}
        with self.network.database.entered(), patch.dict(postgres_server.CONFIG, listening):
            super().start()

    @property
    def tcp_url(self) -> str:
        host = f"{DATABASE_NETWORK}.{self.network.database.number}"
        return f"postgresql://{NAME}@{host}:5432/{NAME}?connect_timeout=3"
