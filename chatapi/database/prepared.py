"""Statements that PostgreSQL parses and plans once per connection, not once per execution.

For the few statements that run for every call or event. Django puts the values into the text of a statement, so
PostgreSQL parses and plans it each time: 0.55 of the 0.89 ms that it needed to emit an event (measured). A prepared
statement gets its values separately.

Its SQL must be a constant, because each text is prepared, and must cast each parameter whose type the text does not
determine: `%s::bigint`. A plan is renewed when its tables or their statistics change, and with the connection
(CONN_MAX_AGE). If a migration changes the type of a result, the statement fails until then: add a column instead.

Behind a pooler that pools by transaction, a statement runs as Django's own do: it would be prepared in a session that
the next transaction may not get.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.utils import CursorWrapper
from django.db.models.base import ModelState

from chatapi.database.pooler import is_pooled

Parameters = Sequence[Any] | Mapping[str, Any]
M = TypeVar("M", bound=models.Model)

PLACEHOLDER = re.compile(r"%(?:\((\w+)\)s|(s|%)|)")


class Numbered(NamedTuple):
    """A statement as PostgreSQL gets it: with `$1` for a placeholder, and the names of the parameters in that order."""

    text: bytes
    names: tuple[str, ...]  # none if the statement has `%s`


@cache
def number_placeholders(sql: str) -> Numbered:
    """Returns the statement with numbered placeholders.

    psycopg does this too, but for statements of over 4096 bytes or 50 parameters at each execution: a quarter of the
    CPU that Python needed for a contact's message. Raises ValueError if there are placeholders of both kinds.
    """
    names: dict[str, int] = {}
    unnamed = 0

    def number(found: re.Match[str]) -> str:
        nonlocal unnamed
        name, other = found.groups()
        if name is not None:
            return f"${names.setdefault(name, len(names) + 1)}"
        if other == "%":
            return "%"
        if other is None:
            raise ValueError(f"A statement has a single %: {sql}")
        unnamed += 1
        return f"${unnamed}"

    text = PLACEHOLDER.sub(number, sql)
    if names and unnamed:
        raise ValueError(f"A statement has placeholders with names and without: {sql}")
    return Numbered(text.encode(), tuple(names))


class PreparedCursor(psycopg.RawCursor[Any]):
    """psycopg's cursor, which prepares each statement at its first execution."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> PreparedCursor:
        if params is not None:
            query, names = number_placeholders(query)
            if names:
                params = [params[name] for name in names]
        super().execute(query, params, prepare=True, **options)
        return self


make_cursor: Any = PreparedCursor  # of Django's connection, whose type the stubs do not know


def fetch_all(sql: str, parameters: Parameters) -> list[tuple[Any, ...]]:
    """Execute the statement in the current transaction, like Django's own; returns its rows."""
    here: Any = connections[DEFAULT_DB_ALIAS]
    if here.queries_logged or here.execute_wrappers:
        with cursor() as opened:
            opened.execute(sql, parameters)
            return opened.fetchall()
    here.close_if_health_check_failed()
    if here.connection is None:
        here.ensure_connection()
    here.validate_no_broken_transaction()
    with here.wrap_database_errors:
        shared = shared_cursor(here)
        shared.execute(sql, parameters)
        return shared.fetchall()


def fetch_one(sql: str, parameters: Parameters) -> tuple[Any, ...] | None:
    """Execute the statement, which returns at most a few rows; returns the first, or None."""
    rows = fetch_all(sql, parameters)
    return rows[0] if rows else None


def shared_cursor(here: Any) -> Any:
    """Returns the PreparedCursor of this connection, which belongs to this thread.

    It is free again as soon as its rows are fetched. A cursor for each statement, in Django's wrapper, takes a third
    of the CPU that Python needs for a short statement (53 instead of 36 µs).
    """
    found = getattr(here.connection, "prepared_cursor", None)
    if found is None or found.closed:
        allow_preparing(here)
        found = here.connection.prepared_cursor = make_cursor(here.connection)
    return found


def allow_preparing(here: Any) -> None:
    """psycopg prepares nothing while the threshold is None, Django's default. Django's own cursors never prepare."""
    if can_prepare(here):
        here.connection.prepare_threshold = 0


def can_prepare(here: Any) -> bool:
    """Returns whether the sessions of Django's connection keep prepared statements: not behind such a pooler."""
    return not is_pooled(here)


def cursor() -> CursorWrapper:
    """Returns a PreparedCursor of Django's connection, made as `connection.cursor()` does it.

    While Django logs queries (DEBUG, tests that count them), it is Django's own, whose log shows the values.
    """
    here: Any = connections[DEFAULT_DB_ALIAS]
    if here.queries_logged:
        return here.cursor()
    here.close_if_health_check_failed()
    here.ensure_connection()
    allow_preparing(here)
    return here._prepare_cursor(make_cursor(here.connection))


class ModelRow(Generic[M]):
    """Reads a model's row by SQL: `columns` for SELECT or RETURNING, and the object of a row's values.

    The ORM needs 0.2 to 0.4 ms of CPU to build a query for one row. The object is made without its __init__(), which
    only copies the values into it, one by one; no signal of it is used here. Not for models with masked fields
    (hooks/body_masking.py), whose content depends on who reads it.
    """

    def __init__(self, model: type[M], alias: str = "") -> None:
        fields = model._meta.concrete_fields
        self.model = model
        # By name, because the table's columns may be in another order than the model's fields.
        self.names = [field.attname for field in fields]
        self.columns = ", ".join(f'{alias}."{field.column}"' for field in fields)
        self.converters = [
            (place, field.get_db_converters(connection))
            for place, field in enumerate(fields)
            if field.get_db_converters(connection)
        ]

    def build(self, values: Iterable[Any]) -> M:
        row = list(values)
        for place, converters in self.converters:
            for convert in converters:
                row[place] = convert(row[place], None, connection)
        built = self.model.__new__(self.model)
        built._state = ModelState()
        built._state.adding, built._state.db = False, DEFAULT_DB_ALIAS
        built.__dict__.update(zip(self.names, row, strict=True))
        return built
