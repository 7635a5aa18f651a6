"""Health checks of persistent database connections: a query is sent only when there is a reason."""

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
    """The results of Django's own health checks, which send a query."""
    results: list[bool] = []
    original = django_base.DatabaseWrapper.is_usable

    def counted(self: Any) -> bool:
        results.append(original(self))
        return results[-1]

    monkeypatch.setattr(django_base.DatabaseWrapper, "is_usable", counted)
    connection.ensure_connection()
    wrapper: Any = connection
    wrapper.queried_at = float("-inf")
    return results


def end_connection() -> None:
    """The server ends the connection, as it does when it restarts."""
    pid = connection.connection.info.backend_pid
    with psycopg.connect(database_url(), autocommit=True) as other:
        has_ended = other.execute("SELECT pg_terminate_backend(%s, 60000)", [pid]).fetchone()
        assert has_ended == (True,)


def test_a_query_is_sent_every_few_seconds(checks: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "QUERY_SECONDS", 60.0)  # longer than the three calls take on any machine
    assert [connection.is_usable() for _ in range(3)] == [True, True, True]
    assert checks == [True]
    monkeypatch.setattr(base, "QUERY_SECONDS", 0.0)
    assert connection.is_usable()
    assert checks == [True, True]


def test_an_ended_connection_is_detected_immediately(checks: list[bool]) -> None:
    assert connection.is_usable()
    end_connection()
    assert not connection.is_usable()
    assert checks == [True, False]
    connection.close()


def test_a_request_after_a_restart_gets_a_new_connection(checks: list[bool]) -> None:
    assert connection.is_usable()
    end_connection()
    wrapper: Any = connection  # django-stubs lacks the two attributes
    wrapper.health_check_enabled, wrapper.health_check_done = True, False
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
