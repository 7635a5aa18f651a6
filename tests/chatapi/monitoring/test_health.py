"""/healthz and /readyz: 200, or 503 with the first thing that is missing."""

import os
import re
import signal
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.utils import timezone

from chatapi.monitoring import health
from chatapi.runtime.postgres import server as postgres_server
from hooks.models import Role, Runner


def runner(role: Role, seconds_ago: float) -> Runner:
    return Runner.objects.create(
        id=1,
        role=role,
        slot=0,
        pid=1,
        host="here",
        heartbeat_at=timezone.now() - timedelta(seconds=seconds_ago),
    )


def ready(client: Client) -> tuple[int, dict[str, str]]:
    answer = client.get("/readyz")
    return answer.status_code, answer.json()


def test_the_process_is_well_without_a_database(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_ready_with_a_dispatchers_fresh_heartbeat(client: Client) -> None:
    runner(Role.DISPATCH, 1)
    assert ready(client) == (200, {"status": "ready"})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "seconds_ago", "how_old"),
    [
        (Role.DISPATCH, 75.2, r"the last heartbeat is (\d+) s old"),
        (Role.OUTGOING, 1, "there is no heartbeat"),
    ],
)
def test_not_ready_without_one(client: Client, role: Role, seconds_ago: float, how_old: str) -> None:
    runner(role, seconds_ago)
    status, answer = ready(client)
    assert (status, set(answer), answer["status"]) == (503, {"status", "reason"}, "not ready")
    reason = re.fullmatch(rf"No dispatcher is running: {how_old}\.", answer["reason"])
    assert reason, answer
    assert all(75 <= int(age) < 135 for age in reason.groups())  # by the clock of the database


@pytest.mark.django_db
def test_not_ready_without_all_migrations(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "passed", set())
    with patch.object(MigrationExecutor, "migration_plan", return_value=["one"]):
        assert ready(client) == (
            503,
            {"status": "not ready", "reason": "The database has unapplied migrations."},
        )


@pytest.mark.django_db
def test_not_ready_without_a_database(client: Client) -> None:
    with patch.object(Runner.objects, "heartbeat_age", side_effect=OperationalError("gone")):
        assert ready(client) == (503, {"status": "not ready", "reason": "The database does not respond."})


@pytest.mark.django_db
def test_not_ready_with_a_database_that_is_frozen(
    client: Client, database_server: postgres_server.Server
) -> None:
    runner(Role.DISPATCH, 1)
    os.kill(
        database_server.pid, signal.SIGSTOP
    )  # accepts connections without responding; existing ones continue
    try:
        assert ready(client) == (503, {"status": "not ready", "reason": "The database does not respond."})
    finally:
        os.kill(database_server.pid, signal.SIGCONT)
    assert ready(client) == (200, {"status": "ready"})


def test_no_connect_waits_for_ever() -> None:
    assert connection.get_connection_params()["connect_timeout"] == 10
