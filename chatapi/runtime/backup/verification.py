"""Verifies a backup by restoring it: the database in a PostgreSQL that is thrown away, and the sums of all files."""

import shutil
from pathlib import Path
from typing import Any

from django.conf import settings

from chatapi.runtime.backup.errors import BackupError
from chatapi.runtime.backup.load import Destination, load
from chatapi.runtime.backup.staging import (
    application_of,
    environment_of,
    lost_rows,
    migrate_and_check,
    running_in,
    temporary_folder,
)
from chatapi.runtime.postgres.system_user import PostgresError
from chatapi.ui.sizes import in_words

NAME = "backup-trial"
EMPTY_CLUSTER = 100 * 1024 * 1024  # bytes of a new PostgreSQL with its first log


def verify_by_restoring(source: Path, passphrase: str | None, manifest: dict[str, Any]) -> list[str]:
    """Returns what the checks say. Raises BackupError if the backup is not good, or cannot be verified."""
    needed = manifest["database_bytes"] + EMPTY_CLUSTER
    free = shutil.disk_usage(settings.DATA_DIR).free
    if free < needed:
        raise BackupError(
            f"To restore its database, {in_words(needed)} are needed in {settings.DATA_DIR}, and {in_words(free)} are "
            "free. --no-verify leaves this out."
        )
    try:
        with temporary_folder(NAME) as folder, running_in(folder, thrown_away=True):
            destination = Destination(
                folder, application_of(folder), in_one_transaction=False, with_media=False
            )
            load(source, passphrase, destination, dump=manifest["pg_dump"])
            environment = environment_of(folder)
            migrate_and_check(environment)
            lines, is_right = lost_rows(environment)
    except (PostgresError, OSError) as error:
        raise BackupError(f"It could not be restored: {error}") from None
    if not is_right:
        raise BackupError(" ".join(lines))
    return ["Verified: it was restored in a PostgreSQL that was thrown away.", *lines]
