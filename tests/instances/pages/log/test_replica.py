"""Pages of the log and of messages read from a replica: how old it is, a user's own change, and one that is away."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.db.utils import InternalError
from django.test import Client
from pytest_django.fixtures import Settings

from chatapi.database import replica, url
from chatapi.runtime.doctor.findings import Level
from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.postgres.discovery import Server, socket_folder
from hooks.models import Hook
from instances.actions.messages import receive_message
from instances.models import Instance
from tests.chatapi.runtime.doctor.finding import find, found
from tests.faults.databases import start_standby, superuser
from tests.hooks.dispatch.dispatching import wait_until

PAUSED = "SELECT pg_get_wal_replay_pause_state()"
# Whether the server is a standby, on which the response takes an hour.
ENDLESS_ON_STANDBY = """
SELECT pg_is_in_recovery() FROM pg_sleep(CASE WHEN pg_is_in_recovery() THEN 3600 ELSE 0 END)
"""
AS_OF = re.compile(r">As of (now|\d+ s ago)</time>")
CHAT = "/instances/12345/messages/17680561234@c.us/"
PAGES = ("/log/", "/log/overview/?instance=12345", "/instances/12345/messages/", CHAT)


@pytest.fixture
def standby(
    transactional_db: None,
    database_server: Server,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Server]:
    """A standby of the server of the tests, from which pages read, however far it is behind."""
    server = start_standby(database_server.path, tmp_path / "pg")
    settings.REPLICA_DATABASE = address(server)
    monkeypatch.setattr(replica, "replica", replica.Replica())
    monkeypatch.setattr(replica, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(replica, "MAX_LAG_SECONDS", 1e6)
    monkeypatch.setattr(replica, "RESPONSE_SECONDS", 60.0)
    yield server
    replica.replica.connection().close()
    postgres_server.stop(server)


def address(server: Server) -> dict[str, Any]:
    return {"HOST": str(socket_folder(server.path)), "PORT": "5432", "OPTIONS": url.replica_options({})}


def receive(instance: Instance, body: str) -> str:
    """Receives a message, which creates a hook; returns the message's id."""
    return receive_message(instance, sender="17680561234", body=body).message_id


def is_from_replica(alice: Client, *shown: str, hidden: str = "") -> bool:
    """Returns whether the pages say that they are from the replica. The list shows these messages, and not `hidden`."""
    texts = [alice.get(path).content.decode() for path in PAGES]
    assert all(message in texts[0] for message in shown)
    assert not hidden or hidden not in texts[0]
    [is_from] = {bool(AS_OF.search(text)) for text in texts}
    return is_from


def wait_for_replica(alice: Client) -> None:
    wait_until(lambda: all(AS_OF.search(alice.get(path).content.decode()) for path in PAGES), "it is read")


def test_the_log_reads_from_a_replica(
    alice: Client, instance: Instance, standby: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = receive(instance, "first")
    wait_until(lambda: first in alice.get("/log/").content.decode(), "the replica has it")
    wait_for_replica(alice)
    assert_nothing_can_be_written(standby)
    with psycopg.connect(superuser(standby.path), autocommit=True) as session, monkeypatch.context() as patch:
        read_behind(alice, instance, first, session, patch)
    with frozen(standby), monkeypatch.context() as patch:
        patch.setattr(replica, "RESPONSE_SECONDS", 1.0)
        assert not is_from_replica(alice, first)
        assert replica.replica.is_away
        found("replica", Level.WARNING, "the replica does not respond", "Check that it is running")
    wait_for_replica(alice)
    read_too_long(standby, monkeypatch)
    wait_for_replica(alice)
    main = psutil.Process(standby.pid)
    for process in [main, *main.children()]:
        process.send_signal(signal.SIGKILL)
    main.wait(60)
    assert not is_from_replica(alice, first)


def assert_nothing_can_be_written(standby: Server) -> None:
    """Neither on the standby nor, after its promotion, on a primary."""
    promoted = {"OPTIONS": address(standby)["OPTIONS"] | {"target_session_attrs": "any"}}
    for place in (settings.REPLICA_DATABASE, promoted):
        here = replica.new_connection(place)
        refused = pytest.raises(InternalError, match="read-only transaction")
        with replica.in_place_of_primary(here), refused:
            Hook.objects.update(body=b"")
        here.close()


def read_behind(
    alice: Client, instance: Instance, first: str, session: psycopg.Connection[Any], patch: pytest.MonkeyPatch
) -> None:
    """The replica is behind, too far behind, and lacks a change of alice's; then it has everything."""
    session.execute("SELECT pg_wal_replay_pause()")
    wait_until(lambda: session.execute(PAUSED).fetchone() == ("paused",), "the replica replays nothing")
    second = receive(instance, "message two")
    assert is_from_replica(alice, first, hidden=second)
    assert "message two" not in alice.get(CHAT).content.decode()
    assert find("replica") == []

    patch.setattr(replica, "MAX_LAG_SECONDS", 0.0)
    wait_until(lambda: find("replica"), "the primary has on its disk what the replica lacks")
    found("replica", Level.WARNING, "s behind the primary", "long queries on it")
    assert not is_from_replica(alice, first, second)
    patch.setattr(replica, "MAX_LAG_SECONDS", 1e6)
    assert is_from_replica(alice, first, hidden=second)

    assert alice.post(f"{CHAT}reply/", {"text": "just sent"}).status_code < 400
    assert not is_from_replica(alice, first, second)
    text = alice.get(CHAT).content.decode()
    assert "message two" in text and "just sent" in text
    session.execute("SELECT pg_wal_replay_resume()")
    wait_for_replica(alice)
    assert is_from_replica(alice, first, second)


def read_too_long(standby: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that does not end on the replica is cancelled there, and repeated on the primary."""
    with monkeypatch.context() as patch:
        patch.setattr(url, "REPLICA_SECONDS", 1)
        patch.setattr(settings, "REPLICA_DATABASE", address(standby))
        patch.setattr(replica, "replica", replica.Replica())
        assert replica.read(lambda: value_of(ENDLESS_ON_STANDBY), list) == (False, None)
        assert replica.replica.is_away


def value_of(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """The server has its connections, and does nothing."""
    main = psutil.Process(server.pid)
    processes = [main, *main.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@pytest.mark.django_db
def test_a_replica_that_is_another_server(database_server: Server, settings: Settings) -> None:
    settings.REPLICA_DATABASE = address(database_server)
    found("replica", Level.WARNING, "the server is a primary, not a standby", "Name a standby")
    settings.REPLICA_DATABASE = address(database_server) | {"NAME": "postgres"}
    found("replica", Level.ERROR, "one of another database than DATABASE_URL", "pg_basebackup")
