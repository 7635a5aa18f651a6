"""Prepares partitions: the checked bound lets a table become a partition without being read with the tables locked.

A partitioned table can't have a unique constraint without its key, so public ids get an index that is not unique; 74
of their bits are random. Migration 0025 gives it to new partitions; the hooks of before keep their unique one until
hooks/maintenance/old_indexes.py has built this.
"""

from typing import Any

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from hooks.sql.partitions import LEGACY, LEGACY_END, TABLES, first_id, today


def check_ids(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT max(id) FROM hooks_hook")
        # only after the partitions were undone can ids be greater
        has_days = (cursor.fetchone()[0] or 0) >= LEGACY_END
        end = first_id(today()) + LEGACY_END if has_days else LEGACY_END
        for table, key in TABLES.items():
            name = f"{table}_{LEGACY}_ids"
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")  # of an interrupted run
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({key} < {end}) NOT VALID")
            cursor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def forget_ids(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for table in TABLES:
        schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_{LEGACY}_ids")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("hooks", "0023_index_of_verifications")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(migrations.RunSQL.noop, "DROP INDEX IF EXISTS hooks_hook_public_id"),
            ],
            state_operations=[
                migrations.AddIndex(
                    model_name="hook", index=models.Index(fields=["public_id"], name="hooks_hook_public_id")
                ),
            ],
        ),
        migrations.RunPython(check_ids, forget_ids),
    ]
