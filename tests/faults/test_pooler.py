"""Web processes behind a PgBouncer that pools by transaction; the worker goes direct."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import requests

from chatapi.runtime.postgres.discovery import NAME
from tests.chatapi.runtime.doctor.poolers import pgbouncer
from tests.faults.databases import Database, superuser
from tests.faults.test_patroni import demo_instance
from tests.faults.test_waiting import signed_in
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import Product
from tests.product_shell import shell
from tests.receiver import Receiver
from tests.rest import Rest

POOL = 3  # sessions of PostgreSQL
CLIENTS = 8
CALLS = 10  # of each client
MESSAGE = """
from instances.actions.messages import receive_message
from instances.models import Instance
receive_message(Instance.objects.get(), sender="17680561234", body="direct")
"""
BIN = """
from instances.models import Instance
from testing_tools.verification.actions.bins import open_bin
print(open_bin(Instance.objects.get()).key)
"""
STATE = """
SELECT pg_backend_pid(), current_setting('synchronous_commit'), current_setting('enable_seqscan'),
    current_setting('enable_sort'), current_setting('statement_timeout'),
    (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors),
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
"""


def test_web_processes_behind_a_pooler_that_pools_by_transaction(tmp_path: Path) -> None:
    database = Database(tmp_path / "database")
    with ExitStack() as ended, ExitStack() as pooled:
        ended.callback(database.stop)
        with psycopg.connect(superuser(database.path), autocommit=True) as session:
            # as on a real server, whose time zone is not the product's
            session.execute(f"ALTER DATABASE {NAME} SET synchronous_commit = on")
            session.execute(f"ALTER DATABASE {NAME} SET timezone = 'Asia/Tokyo'")
        port = pooled.enter_context(pgbouncer(tmp_path / "pooler", database.server, "transaction", POOL))
        pooler = f"postgresql://{NAME}@127.0.0.1:{port}/{NAME}"
        receiver = ended.enter_context(Receiver())
        product = ended.enter_context(product_behind(pooler, database, tmp_path / "product"))
        rest = demo_instance(product, receiver)

        def use_site(client: int) -> list[str]:
            return [use(rest, receiver, f"{client}-{number}") for number in range(CALLS)]

        with ThreadPoolExecutor(CLIENTS) as pool:
            bodies = [body for found in pool.map(use_site, range(CLIENTS)) for body in found]
        wait_until(lambda: bodies_of(receiver) >= set(bodies), "all messages arrive", 90)
        read_pages(product, rest)
        assert_no_state_is_left(pooler)

        pooled.close()
        assert requests.get(f"{product.url}/readyz", timeout=30).status_code == 503
        shell(product.environment, MESSAGE)
        wait_until(lambda: "direct" in bodies_of(receiver), "the worker delivers without the pooler", 90)


def product_behind(pooler: str, database: Database, folder: Path) -> Product:
    return Product(
        folder, DATABASE_URL=database.url, DATABASE_POOLER_URL=pooler, HOOKS_ALLOW_NETWORKS="127.0.0.0/8",
        API_RATE="100000/min", CONTRACT_CALLS_PER_MINUTE="100000", CONTRACT_ACCOUNT_CALLS_PER_MINUTE="100000",
    )  # fmt: skip


def use(rest: Rest, receiver: Receiver, name: str) -> str:
    """Receives a message, responds to it, reads messages and changes the webhook URL; returns the message's body."""
    body = f"in {name}"
    message = {"from": "17680561234", "name": "Ann", "type": "chat", "body": body}
    rest.call("POST", f"{rest.home}sandbox/messages/", json=message)
    sent = contract(rest, "POST", "sendMessage", json={"phone": "17680561234", "body": f"out {name}"})
    assert sent["sent"] is True
    assert "messages" in contract(rest, "GET", "messages", params={"last": "true"})
    contract(rest, "POST", "webhook", json={"webhookUrl": f"{receiver.url}?{name}"})
    assert "Ann" in str(contract(rest, "GET", "dialogs"))
    return body


def contract(rest: Rest, method: str, name: str, **request: Any) -> Any:
    request["params"] = {"token": rest.instance["token"]} | request.get("params", {})
    response = requests.request(method, f"{rest.api_url}{name}", timeout=60, **request)
    assert response.status_code in (200, 201), response.text
    return response.json()


def bodies_of(receiver: Receiver) -> set[str]:
    return {
        message["body"]
        for request in list(receiver.requests)
        for message in request.json().get("messages", ())
    }


def read_pages(product: Product, rest: Rest) -> None:
    """Opens the overview, the log and a chat, and exports a bin."""
    key = shell(product.environment, BIN).strip()
    assert requests.post(f"{product.url}/bin/{key}", json={"number": 1}, timeout=60).ok
    session = signed_in(product)
    here = f"/instances/{rest.instance['id']}/"
    for path, text in (
        (here, "Overview"), (f"{here}messages/", "Ann"), ("/log/", "delivered"),
        (f"/testing/bins/{key}/export/?as=ndjson", "number"),
    ):  # fmt: skip
        response = session.get(f"{product.url}{path}", timeout=60)
        assert response.ok and text in response.text, path


def assert_no_state_is_left(pooler: str) -> None:
    """Opens a transaction in every session of the pool at the same time, and looks at what was left there."""
    with ExitStack() as held:
        sessions = [held.enter_context(psycopg.connect(pooler)) for _ in range(POOL)]
        found = {row[0]: row[1:] for session in sessions if (row := session.execute(STATE).fetchone())}
    assert len(found) == POOL
    assert set(found.values()) == {("on", "on", "on", "0", 0, 0, 0)}
