"""`manage.py prepare`, several at a time, and its migrations beside transactions of others."""

import io
import threading

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections

from chatapi.database import schema_editor
from chatapi.management.commands import migrate
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
            wait_until(lambda: asked, "the second one asks for the lock", 120)
            first.execute("CREATE INDEX CONCURRENTLY built_meanwhile ON hooks_endpoint (id)")
            first.execute("DROP INDEX built_meanwhile")
            assert not got.is_set()
        finally:
            first.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
            waiting.join()
    assert got.is_set()


def test_a_migration_lets_others_pass_while_a_table_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_editor, "LOCK_SECONDS", 0.05)
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.05)
    printed = io.StringIO()

    def undo() -> None:
        call_command("migrate", "hooks", "0031", stdout=printed)
        connections.close_all()

    with psycopg.connect(database_url()) as dump, psycopg.connect(database_url(), autocommit=True) as call:
        dump.execute("SELECT FROM hooks_endpoint")  # its lock lasts as long as the transaction
        undoing = threading.Thread(target=undo)
        undoing.start()
        try:
            wait_until(lambda: printed.getvalue().count(migrate.IN_USE) > 1, "it has tried twice", 120)
            call.execute("SELECT cancel_up_to FROM hooks_endpoint")
        finally:
            dump.rollback()
            undoing.join()
            call_command("migrate", stdout=io.StringIO())
    assert printed.getvalue().strip().endswith("OK")
