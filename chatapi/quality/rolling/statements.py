"""Finds in the SQL of a migration what old code cannot live with, or what locks a large table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import sqlparse

from chatapi.quality.rolling.problems import Kind
from chatapi.quality.rolling.tables import Tables

NAME = r'(?:"?\w+"?\.)?"?(\w+)"?'
ALTER = re.compile(rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?{NAME}", re.IGNORECASE)
DROP_COLUMN = re.compile(
    r'DROP (?:COLUMN )?(?:IF EXISTS )?(?!(?:CONSTRAINT|DEFAULT|NOT|IDENTITY|EXPRESSION)\b)"?(\w+)"?',
    re.IGNORECASE,
)
ADD_COLUMN = re.compile(
    r'ADD (?:COLUMN )?(?:IF NOT EXISTS )?(?!(?:CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)\b)"?(\w+)"?([^,]*)',
    re.IGNORECASE,
)
ADD_CONSTRAINT = re.compile(
    r"ADD (?:CONSTRAINT \S+ )?(CHECK|UNIQUE|PRIMARY KEY|FOREIGN KEY|EXCLUDE)\b", re.IGNORECASE
)
CREATE_INDEX = re.compile(
    rf"CREATE (UNIQUE )?INDEX (CONCURRENTLY )?(?:IF NOT EXISTS )?(?:\S+ )?ON (ONLY )?{NAME}", re.IGNORECASE
)
# What is done to a whole table: the statement, its kind and what it does.
WHOLE = (
    (rf"DROP TABLE (?:IF EXISTS )?{NAME}", Kind.REMOVED, "drops the table {}"),
    (rf"UPDATE (?:ONLY )?{NAME}", Kind.ROWS, "updates rows of {} in one transaction"),
    (rf"DELETE FROM (?:ONLY )?{NAME}", Kind.ROWS, "deletes rows of {} in one transaction"),
    (rf"TRUNCATE (?:TABLE )?(?:ONLY )?{NAME}", Kind.LOCK, "locks {} and removes its rows"),
    (rf"LOCK (?:TABLE )?(?:ONLY )?{NAME}", Kind.LOCK, "locks {}"),
    (rf"(?:CLUSTER|VACUUM FULL) {NAME}", Kind.LOCK, "locks {} and rewrites it"),
    (rf"REINDEX TABLE (?!CONCURRENTLY){NAME}", Kind.LOCK, "locks {} and builds its indexes"),
)  # fmt: skip
# What ALTER TABLE does, beside columns and constraints.
ALTERED = (
    (r"\bRENAME (?!CONSTRAINT)", Kind.RENAMED, "renames {} or a column of it"),
    (r'\bALTER (?:COLUMN )?"?\w+"? (?:SET DATA )?TYPE\b', Kind.TYPE, "changes the type of a column of {}"),
    (r"\bSET NOT NULL\b", Kind.REQUIRED, "requires a value in a column of {}"),
    (r"\bDROP DEFAULT\b", Kind.REQUIRED, "drops the default of a column of {}"),
)


def texts(sql: Any) -> list[str]:
    """Returns the texts of RunSQL's argument: a string, or a list of strings and of (string, parameters)."""
    return [sql] if isinstance(sql, str) else [one if isinstance(one, str) else one[0] for one in sql]


def split(sql: str) -> list[str]:
    """Returns the statements, each in one line and without comments."""
    return [" ".join(one.split()) for one in sqlparse.split(sqlparse.format(sql, strip_comments=True))]


def altered_tables(sql: str) -> set[str]:
    return {found[1] for text in split(sql) if (found := ALTER.match(text))}


def problems_of(sql: str, released: Tables, *, is_atomic: bool) -> Iterator[tuple[Kind, str]]:
    """Yields a kind, and what the SQL does to tables of the last release."""
    for text in split(sql):
        if is_atomic and " CONCURRENTLY " in text.upper():
            yield Kind.TRANSACTION, "uses CONCURRENTLY inside a transaction"
        for pattern, kind, what in WHOLE:
            found = re.match(pattern, text, re.IGNORECASE)
            if found and found[1] in released:
                yield kind, what.format(found[1])
        found = CREATE_INDEX.match(text)
        if found and found[1] and found[4] in released:
            yield Kind.UNIQUE, f"adds a unique index to {found[4]}"
        if found and found[4] in released and not (found[2] or found[3]):
            yield Kind.INDEX, f"locks {found[4]} while an index is built"
        found = ALTER.match(text)
        if found and found[1] in released:
            yield from problems_of_alter(found[1], text[found.end() :], released)


def problems_of_alter(table: str, actions: str, released: Tables) -> Iterator[tuple[Kind, str]]:
    for pattern, kind, what in ALTERED:
        if re.search(pattern, actions, re.IGNORECASE):
            yield kind, what.format(table)
    for found in DROP_COLUMN.finditer(actions):
        if found[1] in released[table]:
            yield Kind.REMOVED, f"drops the column {table}.{found[1]}, which the last release uses"
    for found in ADD_COLUMN.finditer(actions):
        name, form = f"{table}.{found[1]}", found[2].upper()
        if "NOT NULL" in form and "DEFAULT" not in form:
            yield Kind.REQUIRED, f"adds the column {name}, which old code leaves empty"
        if "UNIQUE" in form or "PRIMARY KEY" in form:
            yield Kind.UNIQUE, f"adds the unique column {name}"
        if "CHECK" in form:
            yield Kind.CONSTRAINT, f"adds the column {name} with a check of all rows"
    for found in ADD_CONSTRAINT.finditer(actions):
        if found[1].upper() in ("UNIQUE", "PRIMARY KEY", "EXCLUDE"):
            yield Kind.UNIQUE, f"adds a unique constraint to {table}"
        elif "NOT VALID" not in actions.upper():
            yield Kind.CONSTRAINT, f"locks {table} while a new constraint is checked"
