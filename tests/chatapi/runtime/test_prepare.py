"""`manage.py prepare`, several at a time."""

import threading

import psycopg
import pytest
from django.db import connection, connections

from chatapi.runtime.prepare import MIGRATION_LOCK, wait_for_lock
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import database_url

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_process_that_waits_does_not_stop_the_migration_it_waits_for() -> None:
    """A migration builds indexes concurrently, which waits for all statements of others."""
    got = threading.Event()
    asked: list[int] = []

    def wait() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            asked.extend(cursor.fetchone())
            wait_for_lock(cursor)
            got.set()
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
        connections.close_all()

    with psycopg.connect(database_url(), autocommit=True) as first:
        first.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        waiting = threading.Thread(target=wait)
        waiting.start()
        try:
            wait_until(lambda: asked, "the second one asks for the lock")
            first.execute("CREATE INDEX CONCURRENTLY built_meanwhile ON hooks_endpoint (id)")
            first.execute("DROP INDEX built_meanwhile")
            assert not got.is_set()
        finally:
            first.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
            waiting.join()
    assert got.is_set()
