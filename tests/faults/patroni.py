"""Two PostgreSQL servers under Patroni, with etcd, as plain processes on loopback.

Their configuration is deploy/patroni/patroni.yml, with other addresses, folders and users.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg
import requests
import yaml

from chatapi.runtime.postgres.data_folder import environment, programs
from chatapi.runtime.postgres.discovery import NAME
from chatapi.runtime.postgres.system_user import folder_with_owner, prefix
from tests.faults.databases import create_database
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import ROOT, Product, copy_data, free_port, prepared
from tests.proxies import wait_for_port

DEPLOY = ROOT / "deploy" / "patroni"
SCOPE = "chatapi"
SECONDS = 120.0  # until a node has started, or the standby is synchronous
PARAMETERS = {"unix_socket_directories": "", "jit": "off"}
# For tests, the servers do not wait for the disk: processes are killed, not the machine.
THROWN_AWAY = {"fsync": "off", "full_page_writes": "off"}


class Etcd:
    """One member, which is enough on one machine."""

    def __init__(self, folder: Path) -> None:
        self.address, peer = f"127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        log = folder / "etcd.log"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *prefix(None, [], die_with_parent=True), "etcd", "--data-dir", str(folder / "etcd"),
                    "--listen-client-urls", f"http://{self.address}",
                    "--advertise-client-urls", f"http://{self.address}", "--listen-peer-urls", peer,
                    "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
                ],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", env=environment(),
            )  # fmt: skip
        wait_for_port(int(self.address.rpartition(":")[2]), self.process, log)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)


class Node:
    """Patroni with its PostgreSQL."""

    def __init__(self, folder: Path, name: str, etcd: Etcd, parameters: dict[str, str]) -> None:
        self.name, self.etcd, self.folder, self.parameters = name, etcd, folder, parameters
        self.port, self.api = free_port(), f"127.0.0.1:{free_port()}"
        self.account = folder_with_owner(folder)
        self.data, self.log = folder / "data", folder.parent / f"{name}.log"
        self.config = folder / "patroni.yml"
        self.process: subprocess.Popen[bytes] | None = None

    def write_config(self) -> None:
        config: dict[str, Any] = yaml.safe_load((DEPLOY / "patroni.yml").read_text())
        address = f"127.0.0.1:{self.port}"
        user = {"username": NAME}
        config |= {
            "name": self.name,
            "etcd3": {"hosts": self.etcd.address},
            "restapi": {"listen": self.api, "connect_address": self.api},
        }
        config["postgresql"] |= {
            "listen": address,
            "connect_address": address,
            "data_dir": str(self.data),
            "bin_dir": str(programs()),
            "pgpass": str(self.folder / "pgpass"),
            "authentication": {"superuser": user, "replication": user},
            "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
            "basebackup": [{"checkpoint": "fast"}, "no-sync"],
            "parameters": self.parameters,
        }
        self.config.write_text(yaml.safe_dump(config))
        if self.account:
            os.chown(self.config, self.account.pw_uid, self.account.pw_gid)

    def start(self) -> None:
        self.write_config()
        words = prefix(self.account, [programs() / "postgres", self.folder], True, subject="Patroni")
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*words, sys.executable, "-m", "patroni", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", env=environment(),
            )  # fmt: skip

    def conninfo(self, database: str = NAME) -> str:
        return psycopg.conninfo.make_conninfo(
            host="127.0.0.1", port=self.port, user=NAME, dbname=database, connect_timeout=5
        )

    def is_primary(self) -> bool:
        try:
            with psycopg.connect(self.conninfo(), autocommit=True) as session:
                return session.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
        except psycopg.OperationalError:
            return False

    def server(self) -> list[psutil.Process]:
        """Returns the processes of PostgreSQL, the main one first."""
        try:
            main = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
            return [main, *main.children()]
        except (OSError, psutil.NoSuchProcess):
            return []

    def kill_server(self) -> None:
        """Kills PostgreSQL with SIGKILL, all of its processes at once; Patroni stays."""
        processes = self.server()
        assert processes, self.tail()
        for process in processes:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(processes[:1], timeout=60)

    def kill(self) -> None:
        """Kills Patroni and its PostgreSQL with SIGKILL."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)  # it starts nothing in the time between
        self.kill_server()
        self.process.kill()
        self.process.wait(10)

    def release_leader(self) -> None:
        """Releases the leader lock, as systemd does after Patroni was killed: ExecStopPost=."""
        done = subprocess.run(
            [str(DEPLOY / "release-leader"), SCOPE, self.name, str(self.data)],
            env=os.environ | {"ETCDCTL_ENDPOINTS": self.etcd.address}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout + done.stderr

    def stop(self) -> None:
        """Ends both without waiting for anything: the data is thrown away."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for process in self.server():
            process.send_signal(signal.SIGKILL)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


class Cluster:
    """A primary, with the product's tables, whose commits wait for its standby once it is synchronous.

    `url` names both hosts.
    """

    def __init__(self, folder: Path, *, is_durable: bool = False) -> None:
        """`is_durable`: commits wait for the disk of both servers."""
        parameters = PARAMETERS if is_durable else PARAMETERS | THROWN_AWAY
        self.etcd = Etcd(folder)
        self.nodes = [Node(folder / name, name, self.etcd, parameters) for name in ("db1", "db2")]
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        self.url = f"postgresql://{NAME}@{hosts}/{NAME}?connect_timeout=3"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the first node on data with the product's tables; the second one copies them meanwhile."""
        first, second = self.nodes
        self.copy_database(first)
        first.start()
        wait_until(first.is_primary, f"the first node is the primary: {first.log}", SECONDS)
        second.start()

    def copy_database(self, node: Node) -> None:
        assert Product.prepared_in
        copy_data(prepared("database", create_database) / "pg", node.folder)

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()
        self.etcd.stop()

    def primary(self) -> Node:
        found = wait_until(
            lambda: [node for node in self.nodes if node.is_primary()], "a node is the primary", SECONDS
        )
        return found[0]

    def standby(self) -> Node:
        primary = self.primary()
        return next(node for node in self.nodes if node is not primary)

    def wait_until_synchronous(self) -> None:
        """Waits until commits wait for the standby, and Patroni knows that it may promote it."""

        def is_synchronous() -> bool:
            try:
                found = requests.get(f"http://{self.nodes[0].api}/cluster", timeout=5).json()
            except (requests.RequestException, ValueError):
                return False
            roles = sorted(member["role"] for member in found.get("members", ()))
            return roles == ["leader", "sync_standby"]

        wait_until(is_synchronous, f"the standby is synchronous:\n{self.tail()}", SECONDS)

    def switch_over(self) -> None:
        """Asks the primary's Patroni for a planned switchover; returns when it is done."""
        primary, standby = self.primary(), self.standby()
        response = requests.post(
            f"http://{primary.api}/switchover",
            json={"leader": primary.name, "candidate": standby.name},
            timeout=SECONDS,
        )
        assert response.status_code == 200, response.text

    def tail(self) -> str:
        return "\n".join(f"{node.name}:\n{node.tail()}" for node in self.nodes if node.log.exists())


def wait_for_promotion(node: Node) -> float:
    """Returns when it accepts writes, by time.monotonic()."""
    wait_until(node.is_primary, f"{node.name} is promoted: {node.tail()}", SECONDS)
    return time.monotonic()
