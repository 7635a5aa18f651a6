"""Ends a test that has migrated back to tables from before partitions."""

from __future__ import annotations

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from hooks.models import Hook

WITHOUT_PARTITIONS = [("hooks", "0023_index_of_verifications")]


def restore_newest_tables() -> None:
    """Make the tables those of a new installation again: without a partition of before, which has other bounds."""
    migrate()
    Hook.objects.all().delete()
    migrate(WITHOUT_PARTITIONS)
    migrate()


def migrate(targets: list[tuple[str, str]] | None = None) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(targets or executor.loader.graph.leaf_nodes())
