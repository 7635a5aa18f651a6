"""Finds in the operations of a migration what old code cannot live with, or what locks a large table.

Tables that the last release does not have can be changed in any way: no old code uses them, and they are empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    CreateCollation,
    CreateExtension,
    NotInTransactionMixin,
    RemoveCollation,
    ValidateConstraint,
)
from django.db.migrations import Migration, operations
from django.db.migrations.state import ProjectState
from django.db.models import CheckConstraint, UniqueConstraint

from chatapi.database.checks import ReplaceCheck
from chatapi.quality.rolling.locks import locked_tables
from chatapi.quality.rolling.problems import Kind, Problem
from chatapi.quality.rolling.statements import problems_of as problems_of_sql
from chatapi.quality.rolling.statements import texts
from chatapi.quality.rolling.tables import Column, Tables, table_of, tables_of

# What they do is in the tables, or does nothing to them.
IN_TABLES = (
    operations.CreateModel,
    operations.DeleteModel,
    operations.RenameModel,
    operations.AlterModelTable,
    operations.AddField,
    operations.AlterField,
    operations.RemoveField,
    operations.RenameField,
)
HARMLESS = (
    operations.AlterModelOptions,
    operations.AlterModelManagers,
    operations.AlterModelTableComment,
    operations.RemoveIndex,
    operations.RenameIndex,
    CreateExtension,
    CreateCollation,
    RemoveCollation,
)
VARCHAR = re.compile(r"varchar\((\d+)\)")

Found = Iterator[tuple[Kind, str]]


def problems_of(migration: Migration, state: ProjectState, released: Tables) -> list[Problem]:
    """Returns what the migration does that the code of the last release cannot live with.

    `state` is that before the migration, and afterwards that after it; `released` has the tables of the last release.
    """
    name = f"{migration.app_label}.{migration.name}"
    locked = sorted(locked_tables(migration, state, released)) if migration.atomic else []
    checked = [
        Problem(name, *found)
        for operation in migration.operations
        for found in in_operation(operation, migration, state, released)
    ]
    if migration.atomic and {AddConstraintNotValid, ValidateConstraint} <= {
        type(one) for one in migration.operations
    }:
        checked.append(Problem(name, Kind.VALIDATION, "adds a constraint and checks it in one transaction"))
    if len(locked) > 1:
        checked.append(Problem(name, Kind.TABLES, f"locks {' and '.join(locked)} in one transaction"))
    return checked


def in_operation(operation: Any, migration: Migration, state: ProjectState, released: Tables) -> Found:
    """Yields the problems of one operation, and applies it to the state."""
    app = migration.app_label
    if isinstance(operation, operations.SeparateDatabaseAndState):
        database = state.clone()
        for inner in operation.database_operations:
            yield from in_operation(inner, migration, database, released)
        before = tables_of(state)
        operation.state_forwards(app, state)
        yield from left_behind(before, tables_of(state), tables_of(database), released)
        return
    yield from in_kind(operation, migration, state, released)
    if isinstance(operation, IN_TABLES):
        before = tables_of(state)
        operation.state_forwards(app, state)
        yield from in_difference(before, tables_of(state), released)
    else:
        operation.state_forwards(app, state)


def in_kind(operation: Any, migration: Migration, state: ProjectState, released: Tables) -> Found:
    """Yields what an operation does beside tables and columns."""
    table = ""
    if model := getattr(operation, "model_name", ""):
        table = table_of(state.models[migration.app_label, model.lower()])
    match operation:
        case operations.RunPython():
            if migration.atomic if operation.atomic is None else operation.atomic:
                yield Kind.ROWS, "runs Python code in one transaction"
        case operations.RunSQL():
            for sql in texts(operation.sql):
                yield from problems_of_sql(sql, released, is_atomic=migration.atomic)
        case operations.AddIndex():
            if isinstance(operation, NotInTransactionMixin):
                if migration.atomic:
                    yield Kind.TRANSACTION, "uses CONCURRENTLY inside a transaction"
            elif table in released:
                yield Kind.INDEX, f"locks {table} while the index {operation.index.name} is built"
        case ReplaceCheck():
            if migration.atomic:
                yield Kind.TRANSACTION, "replaces a constraint and checks it in one transaction"
        case AddConstraintNotValid() | ValidateConstraint():
            pass
        case operations.AddConstraint(constraint=constraint):
            if table in released and isinstance(constraint, CheckConstraint):
                yield Kind.CONSTRAINT, f"locks {table} while the constraint {constraint.name} is checked"
            elif table in released:
                yield Kind.UNIQUE, f"adds the unique constraint {constraint.name} to {table}"
        case operations.RemoveConstraint():
            constraint = state.models[migration.app_label, model.lower()].get_constraint_by_name(
                operation.name
            )
            if table in released and isinstance(constraint, UniqueConstraint):
                yield (
                    Kind.NOT_UNIQUE,
                    f"removes {constraint.name} of {table}, which ON CONFLICT of old code needs",
                )
        case operations.AlterUniqueTogether() | operations.AlterIndexTogether():
            if (changed := table_of(state.models[migration.app_label, operation.name_lower])) in released:
                yield Kind.UNIQUE, f"changes what is unique in {changed}"
        case _ if not isinstance(operation, IN_TABLES + HARMLESS):
            yield (
                Kind.UNKNOWN,
                f"has the operation {type(operation).__name__}, which this check does not know",
            )


def in_difference(before: Tables, after: Tables, released: Tables) -> Found:
    """Yields what differs in the tables of the last release."""
    for table in released.keys() & before.keys():
        if table not in after:
            yield Kind.REMOVED, f"drops or renames the table {table}, which the last release uses"
            continue
        old, new = before[table], after[table]
        gone = [name for name in old if name not in new and name in released[table]]
        for name in gone:
            yield Kind.REMOVED, f"drops or renames the column {table}.{name}, which the last release uses"
        for name, column in new.items():
            if name not in old:
                yield from in_new_column(f"{table}.{name}", column)
            elif column != old[name]:
                yield from in_changed_column(f"{table}.{name}", old[name], column)


def in_new_column(name: str, column: Column) -> Found:
    if column.is_computed:
        yield Kind.COMPUTED, f"adds the column {name}, whose values are computed for each row"
    elif not (column.is_null or column.has_default):
        yield Kind.REQUIRED, f"adds the column {name}, which old code leaves empty"
    if column.is_unique:
        yield Kind.UNIQUE, f"adds the unique column {name}"
    if column.has_index:
        yield Kind.INDEX, f"locks the table while the index of {name} is built"
    if column.has_check:
        yield Kind.CONSTRAINT, f"adds the column {name}, of a type with a check, for which all rows are read"


def in_changed_column(name: str, old: Column, new: Column) -> Found:
    if old.type != new.type and not is_longer(old.type, new.type):
        yield Kind.TYPE, f"changes the type of {name} from {old.type} to {new.type}"
    if (old.is_null and not new.is_null) or (old.has_default and not (new.has_default or new.is_null)):
        yield Kind.REQUIRED, f"requires a value in {name}, which old code may leave empty"
    if new.is_unique and not old.is_unique:
        yield Kind.UNIQUE, f"makes {name} unique"
    if old.is_unique and not new.is_unique:
        yield Kind.NOT_UNIQUE, f"makes {name} not unique, and ON CONFLICT of old code needs it"
    if new.has_index and not old.has_index:
        yield Kind.INDEX, f"locks the table while the index of {name} is built"
    if (new.references and new.references != old.references) or (new.has_check and not old.has_check):
        yield Kind.CONSTRAINT, f"locks the table while all values of {name} are checked"


def is_longer(old: str, new: str) -> bool:
    """Returns whether a text column only gets a greater length, which reads no row."""
    was, now = VARCHAR.fullmatch(old), VARCHAR.fullmatch(new)
    return bool(was and (new == "text" or (now and int(now[1]) >= int(was[1]))))


def left_behind(before: Tables, after: Tables, database: Tables, released: Tables) -> Found:
    """Yields columns that new code does not know and that the database requires: inserts of new code would fail."""
    for table, columns in before.items():
        for name in columns:
            is_kept = name in database.get(table, {}) and table in released
            if is_kept and table in after and name not in after[table]:
                kept = database[table][name]
                if not (kept.is_null or kept.has_default):
                    yield (
                        Kind.REQUIRED,
                        f"no longer knows the column {table}.{name}, which the database requires",
                    )
