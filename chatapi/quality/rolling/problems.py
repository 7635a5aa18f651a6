"""What old code cannot live with, or what locks a large table; each with what to do instead."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """The value is what to do instead."""

    REMOVED = (
        "remove it from the models and the code in this release (SeparateDatabaseAndState with state_operations "
        "alone), and drop it in the next one (RunSQL)"
    )
    RENAMED = (
        "keep the name in the database (db_column, db_table), or add a new one, write both in this release, and drop "
        "the old one in the next"
    )
    REQUIRED = "give it a constant db_default, or allow NULL"
    TYPE = "add a column of the new type, write both in this release, and drop the old one in the next"
    COMPUTED = "add it with null=True, and fill it in portions"
    INDEX = (
        "build it with AddIndexAgain (of a partitioned table: AddPartitionedIndex) in a migration with atomic = "
        "False; of a foreign key, set db_index=False and do the same"
    )
    UNIQUE = (
        "let this release write no duplicates; in the next one, build the unique index concurrently (RunSQL), and "
        "name the migration in ALLOWED (chatapi/quality/rolling/later_migrations.py)"
    )
    NOT_UNIQUE = (
        "keep it in this release, whose code no longer needs it, and remove it in the next with ALLOWED"
    )
    CONSTRAINT = (
        "add it with AddConstraintNotValid (in SQL: NOT VALID), and check it with ValidateConstraint in a later "
        "migration"
    )
    VALIDATION = (
        "put ValidateConstraint into a migration of its own, so that no lock is held while rows are read"
    )
    ROWS = (
        "change rows in portions, each in its own transaction: RunPython in a migration with atomic = False that can "
        "be repeated, or a task that runs after the upgrade"
    )
    LOCK = "use a form that does not lock the table (CONCURRENTLY), or leave it to maintenance"
    TABLES = (
        "change each table in a migration of its own, and add a foreign key without its constraint (db_constraint="
        "False): calls lock the same tables in another order, and PostgreSQL ends one of the two as a deadlock"
    )
    TRANSACTION = "set atomic = False in the migration"
    UNKNOWN = "teach chatapi/quality/rolling/operations.py what it does"


class Problem(NamedTuple):
    migration: str  # "hooks.0033_name"
    kind: Kind
    what: str  # what it does, as the end of a sentence

    def __str__(self) -> str:
        return f"{self.migration} {self.what}. Instead: {self.kind.value}."
