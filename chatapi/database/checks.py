"""CHECK constraints with short texts, and the operation of migrations that replaces one while the site runs.

PostgreSQL stores a constraint as the text of its tree, and reads and plans it again for each statement that inserts or
updates rows. The text of `state IN (…)` with seven words has 2,000 characters, that of Django's exclusive or 4,000.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.contrib.postgres.operations import NotInTransactionMixin
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from chatapi.database.schema_editor import LOCK_SECONDS

# For numbers that the product counts or chooses itself, instead of Django's Positive…Field, in tables to which each
# message of a contact adds rows. Without these seven constraints PostgreSQL needs 0.96 of the CPU for it.
NOT_NEGATIVE = (MinValueValidator(0),)


def one_of(field: str, values: Iterable[str]) -> models.Q:
    """Returns the condition that the field is one of these words, for PostgreSQL a quarter as long as IN."""
    return models.Q(**{f"{field}__regex": pattern_of(values)})


def pattern_of(words: Iterable[str]) -> str:
    """Returns the regular expression that matches these words alone.

    Raises ValueError for a word with anything but letters, digits, underscores and spaces.
    """
    found = list(words)
    for word in found:
        if not re.fullmatch(r"[A-Za-z0-9_ ]*", word):
            raise ValueError(f"{word!r} has characters that a regular expression may read in another way.")
    return f"^({'|'.join(found)})$"


class ReplaceCheck(NotInTransactionMixin, Operation):
    """Gives a CHECK constraint another text for the same rule, in a migration with `atomic = False`.

    One statement replaces it: at each moment the table has one of the two. It locks the table for a moment and reads no
    row; existing rows obey the rule. Then VALIDATE reads all rows beside readers and writers. It can be repeated.
    """

    reversible = True

    def __init__(self, model_name: str, constraint: models.CheckConstraint) -> None:
        self.model_name = model_name
        self.constraint = constraint

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name, self.constraint], {}

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        state.remove_constraint(app_label, self.model_name.lower(), self.constraint.name)
        state.add_constraint(app_label, self.model_name.lower(), self.constraint)

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        wanted = next(one for one in model._meta.constraints if one.name == self.constraint.name)
        table = schema_editor.quote_name(model._meta.db_table)
        name = schema_editor.quote_name(wanted.name)
        added = wanted.constraint_sql(model, schema_editor)
        with transaction.atomic(schema_editor.connection.alias):
            schema_editor.execute(f"SET LOCAL lock_timeout = {LOCK_SECONDS * 1000:.0f}")
            schema_editor.execute(
                f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, ADD {added} NOT VALID", params=None
            )
        schema_editor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")

    # `to_state` has the constraint that is wanted, in both directions.
    database_backwards = database_forwards

    def describe(self) -> str:
        return f"Replace the constraint {self.constraint.name} of {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.model_name.lower()}_{self.constraint.name.lower()}"
