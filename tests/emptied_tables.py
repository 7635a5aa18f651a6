"""Empties the tables after a test with transactions of its own, faster than Django's flush.

Django truncates all 66 tables and then creates the permissions and content types again, in 300 ms. Most tests have
written a few rows into a dozen tables: deleting these takes a few milliseconds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django.test import TransactionTestCase

# What Django's flush leaves: it does not empty the first one, and creates the rows of the others again.
KEPT = ("django_migrations", "auth_permission", "django_content_type", "hooks_countingstart")
# 64 pages. Deleted rows stay in the pages of their table. From this size on, tables are truncated.
MAX_BYTES = 64 * 8192
# The tables of models, and their partitions, that have a page. A table that was truncated has none.
WRITTEN = """
SELECT quote_ident(c.relname), pg_relation_size(c.oid) FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND pg_relation_size(c.oid) > 0
AND COALESCE((SELECT p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent WHERE i.inhrelid = c.oid),
    c.relname) = ANY(%s)
"""

Flush = Callable[[TransactionTestCase], None]

_kept_rows: list[str] | None = None  # as the last flush has left them


def empty_tables(case: TransactionTestCase, flush: Flush) -> None:
    """Leaves the same rows as `flush`, Django's method, which is called first, and if many rows were written."""
    global _kept_rows
    if _kept_rows is None or _kept_rows != kept_rows() or not delete_rows():
        flush(case)
        _kept_rows = kept_rows()


def kept_rows() -> list[str]:
    digests = [f"SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t" for table in KEPT[1:]]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(digests))
        return [row[0] for row in cursor.fetchall()]


def delete_rows() -> bool:
    """Deletes the rows of all other tables; returns False if a table is too large for that.

    The lock waits for transactions of other sessions that are still writing, as TRUNCATE does.
    """
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN, [tables_of_models()])
        written = dict(cursor.fetchall())
        if any(size > MAX_BYTES for size in written.values()):
            return False
        if written:
            # with this role, no trigger fires and foreign keys are not checked
            connection.connection.execute(
                "BEGIN; SET LOCAL session_replication_role = replica; "
                f"LOCK TABLE {', '.join(written)} IN SHARE ROW EXCLUSIVE MODE; "
                f"{''.join(f'DELETE FROM {table}; ' for table in written)} COMMIT",
                prepare=False,  # several statements cannot be prepared
            )
    return True


@functools.cache
def tables_of_models() -> list[str]:
    return sorted({*connection.introspection.django_table_names()} - {*KEPT})


@pytest.fixture(scope="session", autouse=True)
def emptied_tables() -> Iterator[Flush]:
    """Replaces Django's flush at the end of each such test; yields that flush."""
    flush = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: empty_tables(case, flush))
        yield flush
