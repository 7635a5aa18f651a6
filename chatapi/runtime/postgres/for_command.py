"""The embedded PostgreSQL for any command of manage.py: joined where `up` runs, else there for its length."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.processes import PARENT

# Commands that ask no database, and `up`, which starts it for all.
WITHOUT = {
    "", "up", "help", "version", "--help", "--version", "-h", "check", "collectstatic", "findstatic", "spectacular",
    "makemigrations", "makemessages", "compilemessages", "startapp", "diffsettings", "sendtestemail", "test",
}  # fmt: skip


def database_for(words: list[str]) -> AbstractContextManager[Any]:
    """What to hold while the command with these words runs. Raises PostgresError on entering, a sentence."""
    # A part of `up` (PARENT is set) must not start a database of its own while that one is being restarted.
    if (words or [""])[0] in WITHOUT or "--help" in words or PARENT in os.environ:
        return nullcontext()
    from django.conf import settings

    return postgres_server.running(settings.DATA_DIR / "pg") if settings.EMBEDDED_POSTGRES else nullcontext()
