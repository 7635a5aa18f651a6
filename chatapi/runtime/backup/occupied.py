"""Keeps everything else out of a DATA_DIR while its content is replaced."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.management.base import CommandError

from chatapi.runtime.backup.errors import BackupError
from chatapi.runtime.backup.staging import wait_for_end
from chatapi.runtime.start_checks import lock_data_dir


@contextmanager
def sole_use() -> Iterator[None]:
    """Holds settings.DATA_DIR for the block; commands that need its database wait.

    Raises:
        BackupError: it is in use.
    """
    folder = settings.DATA_DIR
    try:
        of_up = lock_data_dir()
    except CommandError as error:
        raise BackupError(str(error)) from None
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if pid := wait_for_end(folder / "pg"):
            raise BackupError(
                f"PostgreSQL (process {pid}) runs on {folder}; stop the product, then: kill -INT {pid}."
            )
        yield
    except BlockingIOError:
        raise BackupError(
            f"Another command of manage.py uses the database in {folder}; wait for its end."
        ) from None
    finally:
        os.close(handle)
        os.close(of_up)
