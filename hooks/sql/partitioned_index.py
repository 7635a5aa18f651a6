"""Builds indexes of a partitioned table while the site runs.

PostgreSQL can't build an index of a partitioned table concurrently. So the table gets an index that is invalid, each
partition gets its own, built concurrently, and when the last one is attached, the table's index is valid. Queries use
the index of a partition before that. A partition that is made meanwhile gets the index with the others of its table.

The first partition of an installation that is older than partitions may have millions of rows, and its site is down
during the migration: hooks/maintenance/old_indexes.py builds its indexes when the site runs again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.operations import NotInTransactionMixin
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddIndex
from django.db.migrations.operations.base import OperationCategory

from hooks.sql.partitions import LEGACY

# The partitions without an index that is attached to the table's, in the order in which the table got the indexes.
MISSING = """
SELECT wanted.relname, pg_get_indexdef(wanted.oid), partition.relname
FROM pg_index i JOIN pg_class wanted ON wanted.oid = i.indexrelid
JOIN pg_inherits ON inhparent = i.indrelid JOIN pg_class partition ON partition.oid = inhrelid
WHERE i.indrelid = %s::regclass AND NOT EXISTS (
    SELECT FROM pg_inherits attached JOIN pg_index own ON own.indexrelid = attached.inhrelid
    WHERE attached.inhparent = wanted.oid AND own.indrelid = partition.oid
) ORDER BY wanted.oid, partition.relname
"""


@dataclass(frozen=True, slots=True)
class MissingIndex:
    """An index of a table that one of its partitions lacks."""

    table: str
    name: str
    definition: str  # of the table's index
    partition: str

    @property
    def own_name(self) -> str:
        return f"{self.name}_{self.partition.removeprefix(f'{self.table}_')}"

    @property
    def is_of_legacy(self) -> bool:
        return self.partition == f"{self.table}_{LEGACY}"

    def build(self, cursor: Any) -> None:
        """Build the partition's index, outside of a transaction. Of an interrupted run, a valid one stays."""
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [self.own_name])
        if cursor.fetchone() == (True,):
            return
        head, _, columns = self.definition.partition(" USING ")
        table = head.rpartition(" ")[2]  # with its schema
        partition = f"{table.removesuffix(self.table)}{self.partition}"
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.own_name}")
        cursor.execute(f"CREATE INDEX CONCURRENTLY {self.own_name} ON {partition} USING {columns}")

    def attach(self, cursor: Any) -> None:
        """Make the built index a part of the table's. For that moment, it locks the partition's index."""
        cursor.execute(f"ALTER INDEX {self.name} ATTACH PARTITION {self.own_name}")


def missing_indexes(cursor: Any, table: str) -> list[MissingIndex]:
    cursor.execute(MISSING, [table])
    return [MissingIndex(table, *row) for row in cursor.fetchall()]


class AddPartitionedIndex(NotInTransactionMixin, AddIndex):
    """AddIndex for a partitioned table; what an interrupted run has built stays, except an invalid index."""

    atomic = False
    category = OperationCategory.ADDITION

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        create = str(self.index.create_sql(model, schema_editor))
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(
                create.replace("CREATE INDEX ", "CREATE INDEX IF NOT EXISTS ", 1).replace(
                    " ON ", " ON ONLY ", 1
                )
            )
            for missing in missing_indexes(cursor, model._meta.db_table):
                if missing.name == self.index.name and not missing.is_of_legacy:
                    missing.build(cursor)
                    missing.attach(cursor)
