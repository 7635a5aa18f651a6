"""A file that gets its name when it is complete: a backup that was interrupted is never taken for one.

Until then it is `.NAME.PID.partial` in the same folder, locked by its writer. The next backup in the folder removes
those that no process has locked.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from chatapi.runtime.backup.errors import BackupError

SUFFIX = ".partial"


class PartialFile:
    """The file (mode 600), open for writing; publish() gives it its name."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f".{target.name}.{os.getpid()}{SUFFIX}")
        self.file: IO[bytes] = open(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")  # noqa: SIM115
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def complete(self) -> None:
        """Writes everything to the disk. Raises OSError if there is no space."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def publish(self, name: Path | None = None) -> None:
        """Gives the file its name, which must be free. Raises BackupError if it is not."""
        name = name or self.target
        try:
            os.link(self.path, name)
        except FileExistsError:
            raise BackupError(f"{name} exists already; it was not overwritten.") from None
        except OSError:  # a file system without hard links
            if name.exists():
                raise BackupError(f"{name} exists already; it was not overwritten.") from None
            self.path.rename(name)
        self.path.unlink(missing_ok=True)
        handle = os.open(name.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def partial_file(target: Path) -> Iterator[PartialFile]:
    """Opens the file for the block, and removes it at the end unless it was published."""
    if target.exists():
        raise BackupError(f"{target} exists already. Choose another name, or name a folder.")
    remove_abandoned(target.parent)
    partial = PartialFile(target)
    try:
        yield partial
    finally:
        partial.path.unlink(missing_ok=True)
        partial.file.close()


def remove_abandoned(folder: Path) -> None:
    """Removes the partial files of processes that were killed."""
    for path in folder.glob(f".*{SUFFIX}"):
        try:
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
        except OSError:  # being written, gone, or of another user
            continue
