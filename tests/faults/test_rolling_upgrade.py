"""An upgrade without a stop: two machines change to code with one more migration, one after the other, during calls.

The new code is a copy of this one with columns and a table more, which it uses. A client opens a connection for each
call or keeps it, and tries the other machine only if a connection is refused, as load balancers do.
ROLLING_CALLS_PER_SECOND=200 runs it at full speed; the processes then start twice as slowly.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import requests
from django.db.migrations.loader import MigrationLoader

from tests.faults.databases import Database
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import ROOT, free_port
from tests.product_shell import shell
from tests.receiver import Receiver

INSTANCES = 4
CLIENTS = 8
CALLS_PER_SECOND = int(os.environ.get("ROLLING_CALLS_PER_SECOND", "60"))  # at most, of all clients
WORKER_PROCESSES = (
    4  # at least, once a worker has started: its cluster, what that starts, and those that run tasks
)
SECONDS = 90.0  # for what a slow machine takes long for

CREATE = """
import json
from accounts.actions.users import sign_up
from hooks.actions.endpoints import configure
from instances.actions.lifecycle import create_instance, link_sandbox
account = sign_up("alice@example.org", password="a-password-of-hers")
made = [create_instance(account, name=str(number)) for number in range({number})]
for instance in made:
    link_sandbox(instance)
    configure(instance.endpoint, url={url!r}, guaranteed=True)
print(json.dumps([[instance.pk, instance.number, instance.token] for instance in made]))
"""
CHECK = """
from django.core.management import call_command
call_command("hooks", "check")
call_command("messages", "check")
"""
BUSY = """
    SELECT (SELECT count(*) FROM instances_outgoingmessage) + (
        SELECT count(*) FROM hooks_hook WHERE state IN ('queued', 'sending', 'retrying'))
"""
SENT = "SELECT body FROM instances_message WHERE from_me"
MARKED = "SELECT count(rolling), count(*) - count(rolling) FROM instances_message"
DELIVERED = "SELECT count(*) FROM hooks_hook WHERE state = 'delivered'"

# The fields of the new code, in apps/models; and the migrations, of one table each.
FIELD = """
from django.db import models as _models
from django.utils import timezone as _timezone
_models.DateTimeField(null=True, default=_timezone.now).contribute_to_class({model}, "rolling")
"""
MIGRATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [({app!r}, {last!r})]
    operations = [migrations.AddField({model!r}, "rolling", models.DateTimeField(null=True))]
"""
CHANGED = (("hooks", "Hook"), ("instances", "Message"))


def write_new_code(folder: Path) -> None:
    """Writes the code of the next release: this one with the column `rolling` of hooks and of messages."""
    for name in ("accounts", "chatapi", "hooks", "instances", "testing_tools"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("templates", "static"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "manage.py", folder)  # a link would lead Python to the modules beside the original
    leaves = dict(MigrationLoader(None).graph.leaf_nodes())
    for app, model in CHANGED:
        with open(folder / app / "models" / "__init__.py", "a") as module:
            module.write(FIELD.format(model=model))
        text = MIGRATION.format(app=app, last=leaves[app], model=model)
        (folder / app / "migrations" / "9999_rolling.py").write_text(text)


class Machine:
    """A web server and a worker, with a DATA_DIR of their own."""

    def __init__(self, database: Database, folder: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        self.environment = database.environment | {
            "DATA_DIR": str(folder),
            "PORT": str(self.port),
            "SECRET_KEY": "of-both-machines-" * 4,
            "CONTRACT_CALLS_PER_MINUTE": "1000000",
        }
        self.log = open(folder / "log", "w")  # noqa: SIM115  closed by kill()
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, code: Path) -> None:
        for words in (["-m", "chatapi.runtime.web"], ["manage.py", "worker"]):
            process = subprocess.Popen(
                [sys.executable, *words], cwd=code, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True,
            )  # fmt: skip
            self.processes.append(process)

    def wait_until_ready(self) -> None:
        until = time.monotonic() + SECONDS
        while said := self.not_ready():
            assert time.monotonic() < until, f"{said}\n{Path(self.log.name).read_text()}"
            time.sleep(0.1)

    def not_ready(self) -> str:
        """Returns what is missing, or "" if the machine is ready."""
        web, worker = self.processes
        assert web.poll() is None
        assert worker.poll() is None
        if len(psutil.Process(worker.pid).children(recursive=True)) < WORKER_PROCESSES:
            return "the worker has not started its processes"
        try:
            response = requests.get(f"http://127.0.0.1:{self.port}/readyz", timeout=SECONDS)
        except requests.RequestException as error:
            return str(error)
        return "" if response.ok else response.text

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        assert [process.wait(SECONDS) for process in self.processes] == [0, 0]
        self.processes = []

    def kill(self) -> None:
        for process in self.processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()
                process.wait()
        self.log.close()


class Client(threading.Thread):
    """Calls sendMessage until it is stopped. `accepted` are the bodies, `failed` what happened to other calls."""

    def __init__(self, number: int, ports: list[int], instance: list[Any], *, keeps: bool) -> None:
        super().__init__(daemon=True)
        self.number, self.keeps = number, keeps
        self.path = f"/instance{instance[1]}/sendMessage?token={instance[2]}"
        self.is_stopped = threading.Event()
        self.accepted: list[str] = []
        self.failed: list[str] = []
        self.refused = 0
        self.ports = itertools.cycle(ports if number % 2 else reversed(ports))
        self.connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        for call in itertools.count():
            body = f"{self.number}-{call}"
            while not self.is_stopped.wait(CLIENTS / CALLS_PER_SECOND):
                try:
                    answer = self.call(body)
                except (OSError, http.client.HTTPException, ValueError) as error:
                    self.failed.append(f"{body}: {error!r}")
                    break
                if answer.get("sent"):
                    self.accepted.append(body)
                    break
                if "queue" not in answer.get("message", ""):  # it is full, and the same message is sent again
                    self.failed.append(f"{body}: {answer}")
                    break
            if self.is_stopped.is_set():
                return

    def call(self, body: str) -> dict[str, Any]:
        if self.connection is None or self.connection.sock is None:
            self.connect()
        assert self.connection is not None
        content = json.dumps({"chatId": f"1768056{self.number:04}@c.us", "body": body})
        try:
            self.connection.request("POST", self.path, content, {"Content-Type": "application/json"})
            response = self.connection.getresponse()
            text = response.read()
        except BaseException:
            self.connection.close()
            raise
        if not self.keeps:
            self.connection.close()
        if response.status != 200:
            raise ValueError(f"{response.status} {text!r}")
        return json.loads(text)

    def connect(self) -> None:
        """Connects to the next machine; to the one after it if the connection is refused."""
        for _ in range(2):
            self.connection = http.client.HTTPConnection("127.0.0.1", next(self.ports), timeout=SECONDS)
            try:
                self.connection.connect()
            except ConnectionRefusedError:
                self.refused += 1
                continue
            return
        raise ConnectionRefusedError("both machines")


@pytest.fixture
def machines(database: Database, tmp_path: Path) -> Iterator[list[Machine]]:
    made = [Machine(database, tmp_path / f"machine{number}") for number in range(2)]
    yield made
    for machine in made:
        machine.kill()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.mark.timeout(600)
def test_two_machines_are_upgraded_during_calls_and_nothing_fails_or_is_lost_or_doubled(
    database: Database, machines: list[Machine], receiver: Receiver, tmp_path: Path
) -> None:
    write_new_code(tmp_path / "code")
    environment = machines[0].environment
    instances = json.loads(shell(environment, CREATE.format(number=INSTANCES, url=receiver.url)))
    machines[0].start(ROOT)
    machines[0].wait_until_ready()

    ports = [machine.port for machine in machines]
    clients = [
        Client(number, ports, instances[number % INSTANCES], keeps=number >= CLIENTS // 2)
        for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    try:
        receiver.wait_for(20)
        migrated = subprocess.run(
            [sys.executable, "manage.py", "migrate"], cwd=tmp_path / "code", env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
        assert migrated.returncode == 0, migrated.stderr
        machines[1].start(ROOT)  # old code also starts beside the newer tables
        machines[1].wait_until_ready()
        for machine in machines:
            machine.stop()
            machine.start(tmp_path / "code")
            machine.wait_until_ready()
        receiver.wait_for(len(receiver.requests) + 20)
    finally:
        for client in clients:
            client.is_stopped.set()
        for client in clients:
            client.join(SECONDS)

    assert [failure for client in clients for failure in client.failed] == []
    with psycopg.connect(database.url, autocommit=True) as session:
        wait_until(lambda: session.execute(BUSY).fetchone() == (0,), "all is sent and reported", SECONDS)
        accepted = Counter(body for client in clients for body in client.accepted)
        assert Counter(row[0] for row in session.execute(SENT)) == accepted
        marked = session.execute(MARKED).fetchone()
        assert marked and all(marked), "new code has used its column, and old code has not"
        delivered = session.execute(DELIVERED).fetchone()
    hooks = Counter(request.headers["webhook-id"] for request in receiver.requests)
    assert set(hooks.values()) == {1}
    assert delivered == (len(hooks),)
    shell(environment, CHECK)
    print(
        f"{len(accepted)} calls, {sum(client.refused for client in clients)} connections refused, {len(hooks)} hooks"
    )
