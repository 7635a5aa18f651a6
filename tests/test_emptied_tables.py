"""After a test with transactions of its own, the tables contain what Django's flush would leave."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import TransactionTestCase

from hooks.models import Hook
from tests.emptied_tables import Flush, empty_tables
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import emit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def flushed(emptied_tables: Flush) -> dict[str, int]:
    """The number of rows of each table after Django's flush."""
    case = TransactionTestCase("run")
    emptied_tables(case)
    empty_tables(case, emptied_tables)
    return rows()


def rows() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        counts = [f"SELECT '{name}', count(*) FROM {name}" for (name,) in cursor.fetchall()]
        cursor.execute(" UNION ALL ".join(counts))
        return dict(cursor.fetchall())


def not_called(case: TransactionTestCase) -> None:
    raise AssertionError("Django's flush is called")


def test_few_rows_are_deleted(flushed: dict[str, int]) -> None:
    emit(InstanceFactory(url="http://a.example/").endpoint, 3)
    assert rows() != flushed
    empty_tables(TransactionTestCase("run"), not_called)
    assert rows() == flushed


def test_large_tables_are_truncated(flushed: dict[str, int], emptied_tables: Flush) -> None:
    [hook] = emit(InstanceFactory(url="http://a.example/").endpoint)
    Hook.objects.filter(pk=hook.pk).update(chat="x" * 100)
    Hook.objects.bulk_create(
        Hook(endpoint_id=hook.endpoint_id, kind=hook.kind, body=b"{}") for _ in range(10_000)
    )
    with pytest.raises(AssertionError, match="flush is called"):
        empty_tables(TransactionTestCase("run"), not_called)
    empty_tables(TransactionTestCase("run"), emptied_tables)
    assert rows() == flushed


def test_rows_that_are_kept_are_restored_by_the_flush(flushed: dict[str, int], emptied_tables: Flush) -> None:
    Permission.objects.all().delete()
    with pytest.raises(AssertionError, match="flush is called"):
        empty_tables(TransactionTestCase("run"), not_called)
    empty_tables(TransactionTestCase("run"), emptied_tables)
    assert rows() == flushed


def test_rows_of_a_session_that_is_still_writing_are_waited_for(flushed: dict[str, int]) -> None:
    has_written, may_commit = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            InstanceFactory()
            has_written.set()
            may_commit.wait(60)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    assert has_written.wait(60)
    threading.Timer(0.2, may_commit.set).start()
    empty_tables(TransactionTestCase("run"), not_called)
    writer.join()
    assert rows() == flushed
