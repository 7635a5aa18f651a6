"""`manage.py migrate`: Django's, which tries again while a table is in use (chatapi/database/schema_editor.py)."""

import time
from typing import Any

from django.core.management.commands import migrate
from django.db import OperationalError
from psycopg.errors import LockNotAvailable

PAUSE_SECONDS = 3.0  # in which the calls that waited behind the migration are served
PATIENCE_SECONDS = 900.0
IN_USE = "A table is in use by a long transaction. Trying again."


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                super().handle(*args, **options)
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable) or time.monotonic() > until:
                    raise
                self.stdout.write(IN_USE)
                time.sleep(PAUSE_SECONDS)
            else:
                return
