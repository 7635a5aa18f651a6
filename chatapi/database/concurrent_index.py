"""The operation of migrations that builds an index while the site runs, and can be repeated.

CREATE INDEX CONCURRENTLY runs in no transaction. If it is interrupted (kill -9, a deadlock, a lost session), it leaves
an invalid index of that name, which every write maintains and no query uses; and the next `migrate` fails at the name.
"""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


class AddIndexAgain(AddIndexConcurrently):
    """AddIndexConcurrently that first drops an index of the same name: what an interrupted run has left."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        name = schema_editor.quote_name(self.index.name)
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        super().database_forwards(app_label, schema_editor, from_state, to_state)
