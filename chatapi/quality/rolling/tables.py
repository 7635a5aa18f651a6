"""The tables and columns of a migration state, as plain values that can be compared."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db import connection, models
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.functions import Now

Tables = dict[str, dict[str, "Column"]]  # by the table's name and the column's


class Column(NamedTuple):
    """What matters of a column to old code, and to PostgreSQL when it is added or changed."""

    type: str
    is_null: bool = False
    has_default: bool = False
    is_unique: bool = False
    has_index: bool = False
    has_check: bool = False
    is_computed: bool = False  # for each row: generated, an identity, or with a default that is not constant
    references: str = ""


def tables_of(state: ProjectState) -> Tables:
    """Returns all tables of the state, also those of many-to-many fields, whose columns are left out."""
    tables: Tables = {}
    for model in state.models.values():
        field: Any
        if not model.options.get("managed", True) or model.options.get("proxy"):
            continue
        table = table_of(model)
        tables[table] = {}
        for name, field in model.fields.items():
            if not field.many_to_many:
                tables[table][column_name(name, field)] = column_of(field)
            elif not field.remote_field.through:
                tables[field.db_table or f"{table}_{name}"] = {}
    return tables


def table_of(model: ModelState) -> str:
    return str(model.options.get("db_table") or f"{model.app_label}_{model.name_lower}")


def column_name(name: str, field: Any) -> str:
    return field.db_column or (f"{name}_id" if field.remote_field else name)


def column_of(field: Any) -> Column:
    references = ""
    if field.remote_field:  # its type is that of the other model's key, which is not known here
        target = str(getattr(field.remote_field.model, "_meta", field.remote_field.model)).lower()
        references = target if field.db_constraint else ""
        type_ = f"key of {target}"
        has_check = False
    else:
        type_ = f"{field.db_type(connection)} {getattr(field, 'db_collation', None) or ''}".strip()
        has_check = field.get_internal_type() in connection.data_type_check_constraints
    return Column(
        type_,
        is_null=field.null,
        has_default=field.has_db_default(),
        is_unique=field.unique,
        has_index=field.db_index and not field.unique,
        has_check=has_check,
        is_computed=is_computed(field),
        references=references,
    )


def is_computed(field: Any) -> bool:
    default = field._db_default_expression if field.has_db_default() else models.Value(None)
    return isinstance(field, models.GeneratedField | models.AutoField) or not isinstance(
        default, models.Value | Now
    )
