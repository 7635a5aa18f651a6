"""Migrations give up after two seconds without a lock, so that no call waits longer behind one.

ALTER TABLE waits for all who use the table, such as a `pg_dump` of hours, and everyone who comes meanwhile waits behind
it. `manage.py migrate` tries again (chatapi/management/commands/migrate.py). Migrations without a transaction may wait:
CREATE INDEX CONCURRENTLY waits for old transactions, and no one waits behind it.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.schema import DatabaseSchemaEditor

LOCK_SECONDS = 2.0


class ImpatientSchemaEditor(DatabaseSchemaEditor):
    def __enter__(self) -> Any:
        super().__enter__()
        if self.atomic_migration and not self.collect_sql:
            self.execute(f"SET LOCAL lock_timeout = {LOCK_SECONDS * 1000:.0f}")
        return self
