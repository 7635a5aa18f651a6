"""The embedded PostgreSQL for any command of manage.py: the running one, or one started for the command."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.processes import PARENT

# Commands that do not use the database, and `up`, which starts it itself.
WITHOUT_DATABASE = {
    "", "up", "help", "version", "--help", "--version", "-h", "check", "collectstatic", "findstatic", "spectacular",
    "makemigrations", "makemessages", "compilemessages", "startapp", "diffsettings", "sendtestemail", "test",
}  # fmt: skip


def database_for(arguments: list[str]) -> AbstractContextManager[Any]:
    """A context to run the command with these arguments in. Entering it raises PostgresError, with one sentence."""
    # A part of `up` (PARENT is set) must not start a database of its own while that one is being restarted.
    if (arguments or [""])[0] in WITHOUT_DATABASE or "--help" in arguments or PARENT in os.environ:
        return nullcontext()
    from django.conf import settings

    return postgres_server.running(settings.DATA_DIR / "pg") if settings.EMBEDDED_POSTGRES else nullcontext()
