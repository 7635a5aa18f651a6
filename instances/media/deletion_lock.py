"""The lock between a backup, which copies the files of a snapshot of the database, and retention, which deletes files.

A backup holds it shared from before its snapshot until its last file is copied (chatapi/runtime/backup/dump.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

FILES_LOCK = 0x66696C65  # "file"


@contextmanager
def files_may_be_deleted() -> Iterator[bool]:
    """Yields whether no backup is running; one that starts during the block waits for its end."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [FILES_LOCK])
        [may] = cursor.fetchone()
    try:
        yield may
    finally:
        if may:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [FILES_LOCK])
