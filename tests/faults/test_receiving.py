"""Receiving in the running product: its worker starts a receiver when one is needed, and again after kill -9."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from tests.faults.product_instance import database_of, kill, worker_processes
from tests.faults.victims import database, run_of
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.receiving import polling, pushing
from tests.instances.receiving.polling import PollingMessenger
from tests.instances.receiving.processes import SETTINGS
from tests.instances.receiving.wire_format import message
from tests.product import Product
from tests.product_shell import shell

NEW_LINK = """
import json
from accounts.models import Account
from instances.actions.channel_links import save_link
from instances.actions.lifecycle import create_instance
from instances.models import Instance
instance = create_instance(Account.objects.order_by("id").first())
Instance.objects.filter(pk=instance.pk).update(channel={channel!r}, account_status="authenticated")
instance.refresh_from_db()
link = save_link(instance, credentials={credentials!r}, acting_user=None)
print(json.dumps([instance.pk, f"/channels/{{link.channel}}/{{link.callback_secret}}"]))
"""
BODIES = "SELECT body FROM instances_message WHERE instance_id = %s ORDER BY number"
RUNS = "SELECT count(*) FROM hooks_runner WHERE role = 'receiving'"
NEWEST_RUN = "SELECT pid FROM hooks_runner WHERE role = 'receiving' ORDER BY started_at DESC LIMIT 1"


@pytest.fixture
def messenger() -> Iterator[PollingMessenger]:
    with PollingMessenger() as messenger:
        yield messenger


def query(product: Product, sql: str, *parameters: object) -> list[Any]:
    """Returns the first column; nothing while the database restarts."""
    try:
        with psycopg.connect(database_of(product.environment)) as session:
            return [row[0] for row in session.execute(sql, parameters).fetchall()]
    except psycopg.OperationalError:
        return []


def test_the_product_receives_and_continues_after_kills_and_a_restart_of_the_database(
    tmp_path: Path, messenger: PollingMessenger
) -> None:
    with Product(tmp_path, DJANGO_SETTINGS_MODULE=SETTINGS) as product:
        assert query(product, RUNS) == [0], "without a linked instance no receiver is started"

        def new_link(channel: str, credentials: dict[str, str]) -> tuple[int, str]:
            found = shell(product.environment, NEW_LINK.format(channel=channel, credentials=credentials))
            key, path = json.loads(found)
            return key, path

        polled, _ = new_link(polling.NAME, messenger.credentials("alice"))
        pushed, path = new_link(pushing.NAME, pushing.CREDENTIALS)
        expected = []

        def report_and_wait(number: int) -> None:
            """Both messengers report two messages, which must arrive once and in order."""
            for one in (number, number + 1):
                messenger.add("alice", message(one))
                body, headers = pushing.pushed(message(one))
                answer = requests.post(product.url + path, data=body, headers=headers, timeout=30)
                assert answer.status_code == 200
                expected.append(str(one))
            for key in (polled, pushed):
                wait_until(lambda key=key: len(query(product, BODIES, key)) >= len(expected), "received", 120)  # type: ignore[misc]
                assert query(product, BODIES, key) == expected

        report_and_wait(0)
        kill([run_of(product, "receiving")])
        report_and_wait(2)
        standby = product.standby().pid
        killed: set[int] = set()

        def kill_worker() -> None:
            found = worker_processes(product)
            killed.update(process.pid for process in found)
            kill(found)

        def is_received_by_standby() -> bool:
            """Kills the worker again if it was faster: the standby is patient after each of its own takeovers."""
            [newest] = query(product, NEWEST_RUN)
            if newest != standby and newest not in killed:
                kill_worker()
            return bool(newest == standby)

        kill_worker()
        wait_until(is_received_by_standby, "the standby process receives", 240)
        report_and_wait(4)
        kill([database(product)])
        product.wait_for_ready(120)
        report_and_wait(6)
