"""The operation of migrations that builds an index of a partitioned table while the site runs, and can be repeated.

PostgreSQL can't build an index of a partitioned table concurrently. So the table gets an index that is invalid, each
partition gets its own, built concurrently, and when the last one is attached, the table's index is valid. A partition
that is made meanwhile gets the index with the others of its table.
"""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.operations import NotInTransactionMixin
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddIndex
from django.db.migrations.operations.base import OperationCategory

# The partitions without an index that is attached to this one.
WITHOUT_INDEX = """
SELECT partition.relname FROM pg_inherits JOIN pg_class partition ON partition.oid = pg_inherits.inhrelid
WHERE inhparent = %s::regclass AND NOT EXISTS (
    SELECT FROM pg_inherits attached JOIN pg_index i ON i.indexrelid = attached.inhrelid
    WHERE attached.inhparent = %s::regclass AND i.indrelid = partition.oid
) ORDER BY 1
"""


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
        name, table = self.index.name, model._meta.db_table
        create = str(self.index.create_sql(model, schema_editor))
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(
                create.replace("CREATE INDEX ", "CREATE INDEX IF NOT EXISTS ", 1).replace(
                    " ON ", " ON ONLY ", 1
                )
            )
            cursor.execute(WITHOUT_INDEX, [table, name])
            for (partition,) in cursor.fetchall():
                own = self.index.clone()
                own.name = f"{name}_{partition.removeprefix(f'{table}_')}"
                statement = own.create_sql(model, schema_editor, concurrently=True)
                statement.rename_table_references(table, partition)
                cursor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{own.name}"')
                cursor.execute(str(statement))
                cursor.execute(f'ALTER INDEX "{name}" ATTACH PARTITION "{own.name}"')
