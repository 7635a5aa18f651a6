"""The passphrase of a backup, from a file or the environment: a command line is visible to all users of the machine."""

import os
from pathlib import Path

from chatapi.runtime.backup.errors import BackupError

VARIABLE = "BACKUP_PASSPHRASE"


def read_passphrase(file: str | None) -> str | None:
    """Returns the passphrase in the file, or that of the environment; None if none is given.

    Raises:
        BackupError: the file cannot be read, or the passphrase is empty.
    """
    name = file or os.environ.get(f"{VARIABLE}_FILE")
    if name:
        try:
            found = Path(name).read_text()
        except (OSError, UnicodeError) as error:
            raise BackupError(f"The passphrase cannot be read from {name}: {error}.") from None
    elif VARIABLE in os.environ:
        found = os.environ[VARIABLE]
        if any("\udc80" <= character <= "\udcff" for character in found):
            raise BackupError(f"{VARIABLE} is not UTF-8.")
    else:
        return None
    if not found.strip():
        raise BackupError("The passphrase is empty. Leave it out for a backup that is not encrypted.")
    return found.strip("\r\n")
