"""The embedded PostgreSQL for any command of manage.py: the running one, or one started for the command."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.processes import PARENT

# Commands that do not use the database, and those that start it themselves.
WITHOUT_DATABASE = {
    "", "up", "help", "version", "--help", "--version", "-h", "check", "collectstatic", "findstatic", "spectacular",
    "makemigrations", "makemessages", "compilemessages", "startapp", "diffsettings", "sendtestemail", "test",
    "sandbox_messenger", "doctor", "restore", "upgrade-database",
}  # fmt: skip


def database_for(arguments: list[str]) -> AbstractContextManager[Any]:
    """A context to run the command with these arguments in. Entering it raises PostgresError, with one sentence."""
    # A part of `up` (PARENT is set) must not start a database of its own while that one is being restarted.
    if (arguments or [""])[0] in WITHOUT_DATABASE or "--help" in arguments or PARENT in os.environ:
        return nullcontext()
    from django.conf import settings

    return embedded_database() if settings.EMBEDDED_POSTGRES else nullcontext()


@contextmanager
def embedded_database() -> Iterator[None]:
    """The database of DATA_DIR/pg. What the command has to tell other processes is sent before it may stop."""
    from django.conf import settings

    with postgres_server.running(settings.DATA_DIR / "pg"):
        try:
            yield
        finally:
            if wakeups := sys.modules.get("hooks.wakeups"):
                wakeups.notifier.close()
