"""What a site needs before its first process starts: migrations, static files, and on a laptop the demo account.

On a site without users it prints the one-time link that creates the first administrator.

`manage.py up` does it at each start; `manage.py prepare` does it for services that are started one by one, such as
those of deploy/systemd/. Several processes may do it at the same time: one works, the others wait for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from io import StringIO

from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError, connection
from django.db.backends.utils import CursorWrapper

from accounts.actions.first_administrator import VALID_FOR, create_setup_link, setup_url
from chatapi.database.read_only import is_read_only_refusal
from chatapi.runtime import static_files
from chatapi.runtime.doctor.database import explain_in_one_line
from chatapi.runtime.start_checks import raise_on_wrong_database
from hooks import worker_slots
from hooks.actions.endpoints import end_all_overrides
from hooks.models import Role
from instances.actions.lifecycle import end_expiry

MIGRATION_LOCK = 0x63686174  # "chat": one process at a time prepares a site
LOCK_POLL_SECONDS = 0.5


def prepare(say: Callable[[str], None]) -> None:
    """Apply migrations, collect static files and, with the embedded database, create the demo account.

    Calls `say` with a sentence for each thing that a user should know. Raises CommandError with one sentence.
    """
    try:
        with connection.cursor() as cursor:
            wait_for_lock(cursor)
            raise_on_wrong_database()
            call_command("migrate", interactive=False, verbosity=0)
            static_files.collect()
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
        if not settings.INSTANCES_EXPIRE and (lifted := end_expiry()):
            say(f"{lifted} instance(s) had an expiry date: with the embedded database they do not expire.")
        if not worker_slots.is_any_slot_held(Role.DISPATCH) and (ended := end_all_overrides()):
            say(f"{ended} verification(s) had not been stopped: hooks are sent to their own URLs again.")
    except (DatabaseError, InterfaceError) as error:
        if is_read_only_refusal(error):
            raise CommandError(explain_in_one_line(error)) from None
        raise CommandError(f"The database cannot be used: {str(error).strip().splitlines()[0]}") from None
    protect_media()
    if settings.EMBEDDED_POSTGRES and "demo" in get_commands():
        call_command("demo", first_start=True, stdout=StringIO())
    say_setup_link(say)


def say_setup_link(say: Callable[[str], None]) -> None:
    """Call `say` with a one-time link that creates the first administrator, if the site has no user."""
    if token := create_setup_link():
        hours = int(VALID_FOR.total_seconds() // 3600)
        say(f"No user exists yet. Create the administrator within {hours} hours: {setup_url(token)}")


def wait_for_lock(cursor: CursorWrapper) -> None:
    """Get the lock, by asking for it repeatedly.

    `pg_advisory_lock` would be a statement that waits, and CREATE INDEX CONCURRENTLY, in a migration of the process
    that has the lock, waits for all statements: PostgreSQL ends one of the two with "deadlock detected".
    """
    while True:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [MIGRATION_LOCK])
        if cursor.fetchone() == (True,):
            return
        time.sleep(LOCK_POLL_SECONDS)


def protect_media() -> None:
    """Set the mode 700 of the media folder; version 0.1.0 created it with 755."""
    media = settings.DATA_DIR / "media"
    if media.is_dir() and media.stat().st_uid == os.getuid():
        media.chmod(0o700)
