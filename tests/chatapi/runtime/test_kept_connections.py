"""A kept connection to the database is looked at before it is used again, and checks only when there is a reason."""

from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.backends.postgresql import base as django_base

from chatapi.database import base
from tests.product import database_url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What the server has answered each time that Django checks it."""
    answers: list[bool] = []
    ask = django_base.DatabaseWrapper.is_usable

    def counted(self: Any) -> bool:
        answers.append(ask(self))
        return answers[-1]

    monkeypatch.setattr(django_base.DatabaseWrapper, "is_usable", counted)
    connection.ensure_connection()
    connection.asked_at = 0.0
    return answers


def end_it() -> None:
    """The server ends the connection, as it does when it restarts."""
    pid = connection.connection.info.backend_pid
    with psycopg.connect(database_url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_a_connection_is_asked_once_in_a_while(checks: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    assert [connection.is_usable() for _ in range(3)] == [True, True, True]
    assert checks == [True]
    monkeypatch.setattr(base, "ASK_EVERY", 0.0)
    assert connection.is_usable()
    assert checks == [True, True]


def test_a_connection_that_the_server_has_ended_is_seen_at_once(checks: list[bool]) -> None:
    assert connection.is_usable()
    end_it()
    assert not connection.is_usable()
    assert checks == [True, False]
    connection.close()


def test_a_request_after_a_restart_finds_a_new_connection(checks: list[bool]) -> None:
    assert connection.is_usable()
    end_it()
    connection.health_check_enabled, connection.health_check_done = True, False
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_a_connection_whose_transaction_has_failed_is_not_taken_for_usable(checks: list[bool]) -> None:
    """A request was torn away in the middle; what the next one asks would be refused."""
    assert connection.is_usable()
    connection.connection.execute("BEGIN")
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.connection.execute("SELECT 1 / 0")
    assert not connection.is_usable()
    assert checks == [True, False]
    connection.close()
