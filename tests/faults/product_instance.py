"""An instance of the test in the running product, with its messages, hooks and processes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from chatapi.runtime.postgres import server as postgres_server
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import Product
from tests.product_shell import shell

NEW_INSTANCE = """
import json
from accounts.actions.users import sign_up
from accounts.models import Account
from hooks.actions.endpoints import configure
from instances.actions.lifecycle import create_instance, link_sandbox
account = Account.objects.order_by("id").first() or sign_up("alice@example.org", password="a-password-of-hers")
instance = create_instance(account, name="faults")
link_sandbox(instance)
configure(instance.endpoint, url={url!r}, guaranteed={guaranteed}, parallel={parallel})
print(json.dumps(instance.pk))
"""
RECEIVE = """
from instances.actions.messages import receive_message
from instances.models import Instance
instance = Instance.objects.get(pk={pk})
for number in range({first}, {first} + {n}):
    receive_message(instance, sender="17680561234", body=str(number))
"""
DELETE = """
from instances.actions.lifecycle import delete_instance
from instances.models import Instance
delete_instance(Instance.objects.get(pk={pk}), acting_user=None)
"""
CHECK = """
from django.core.management import call_command
call_command(*{arguments!r})
"""
DELIVERED = "SELECT count(*) FROM hooks_hook WHERE endpoint_id = %s AND state = 'delivered'"
RUNS = "SELECT pid FROM hooks_runner WHERE role = %s AND finished_at IS NULL ORDER BY heartbeat_at DESC"


@dataclass
class ProductInstance:
    """An instance in the running product; `pk` is its key."""

    environment: dict[str, str]
    pk: int

    def receive(self, n: int, first: int = 0) -> None:
        """Receives `n` messages of a contact, with the bodies `first`, `first` + 1, …"""
        shell(self.environment, RECEIVE.format(pk=self.pk, n=n, first=first))

    def delete(self) -> None:
        shell(self.environment, DELETE.format(pk=self.pk))

    def counts(self) -> dict[str, int]:
        """Returns the counts of the instance in `manage.py hooks check`, which must exit with 0.

        For those of messages, see `message_counts`.
        """
        printed = shell(self.environment, CHECK.format(arguments=["hooks", "check"]))
        [line] = [line for line in printed.splitlines() if line.startswith(f"instance key {self.pk}:")]
        return {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", line)}

    def message_counts(self) -> dict[str, int]:
        """Returns the counts of the instance in `manage.py messages check`, which must exit with 0."""
        printed = shell(self.environment, CHECK.format(arguments=["messages", "check", "--json"]))
        [found] = [row for row in json.loads(printed)["instances"] if row["instance"] == self.pk]
        return dict(found)

    def delivered(self) -> int:
        """Returns the number of delivered hooks. A query, because manage.py would take CPU time from the product."""
        try:
            with psycopg.connect(database_of(self.environment)) as session:
                row = session.execute(DELIVERED, [self.pk]).fetchone()
        except psycopg.OperationalError:  # it is restarting
            return -1
        return row[0] if row else 0

    def wait_until_delivered(self, n: int) -> None:
        wait_until(lambda: self.delivered() == n, f"all {n} are delivered", 90)
        assert self.counts()["delivered"] == n


def database_of(environment: dict[str, str]) -> str:
    """Returns the connection string of the product's database, for libpq."""
    embedded = postgres_server.embedded_database(Path(environment["DATA_DIR"]) / "pg")
    return environment.get("DATABASE_URL") or psycopg.conninfo.make_conninfo(
        host=embedded["HOST"], dbname=embedded["NAME"], user=embedded["USER"]
    )


def pids_of_role(environment: dict[str, str], role: str) -> list[int]:
    """Returns the processes that run an endless task of this role; none while the database restarts.

    The last heartbeat is first. A killed process is among them until its run is marked as finished.
    """
    try:
        with psycopg.connect(database_of(environment)) as session:
            return [row[0] for row in session.execute(RUNS, [role])]
    except psycopg.OperationalError:
        return []


def create_product_instance(
    environment: dict[str, str], url: str, *, guaranteed: bool = False, parallel: bool = False
) -> ProductInstance:
    """Creates a sandbox instance of the first account with this webhook URL."""
    code = NEW_INSTANCE.format(url=url, guaranteed=guaranteed, parallel=parallel)
    return ProductInstance(environment, json.loads(shell(environment, code)))


def worker_processes(product: Product) -> list[psutil.Process]:
    """Returns `manage.py worker` and its descendants, the parent first."""
    top = product.part("manage.py", "worker")
    return [top, *top.children(recursive=True)]


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kills the processes with SIGKILL, and waits until they have ended."""
    processes = list(processes)
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue  # it ended with its parent
    psutil.wait_procs(processes, timeout=60)
