"""Which tables a migration locks against all use. Two of them in one transaction may deadlock with a call."""

from __future__ import annotations

from typing import Any

from django.db.migrations import Migration, operations
from django.db.migrations.state import ProjectState

from chatapi.quality.rolling.statements import altered_tables, texts
from chatapi.quality.rolling.tables import Tables, table_of, tables_of

OF_A_TABLE = (
    operations.AddConstraint,
    operations.RemoveConstraint,
    operations.AddIndex,
    operations.RemoveIndex,
)


def locked_tables(migration: Migration, state: ProjectState, released: Tables) -> set[str]:
    """Returns the tables of the last release that the migration locks; `state` is that before it, and stays."""
    state = state.clone()
    return {
        table
        for operation in migration.operations
        for table in locked_by(operation, migration.app_label, state)
        if table in released
    }


def locked_by(operation: Any, app: str, state: ProjectState) -> set[str]:
    """Returns the tables that one operation locks, and applies it to the state."""
    if isinstance(operation, operations.SeparateDatabaseAndState):
        database = state.clone()
        inner = [locked_by(one, app, database) for one in operation.database_operations]
        operation.state_forwards(app, state)
        return set().union(*inner)
    before, locked = tables_of(state), set[str]()
    if isinstance(operation, OF_A_TABLE):
        locked.add(table_of(state.models[app, operation.model_name.lower()]))
    if isinstance(operation, operations.RunSQL):
        locked.update(*(altered_tables(sql) for sql in texts(operation.sql)))
    operation.state_forwards(app, state)
    if isinstance(operation, operations.RunSQL):  # its state_operations are carried out by the SQL
        return locked
    after = tables_of(state)
    for table in after:
        if after[table] == before.get(table):
            continue
        locked.add(table)
        for name, column in after[table].items():  # a foreign key locks the table to which it leads
            if column.references and column != before.get(table, {}).get(name):
                locked.add(table_of(state.models[tuple(column.references.split("."))]))
    return locked
