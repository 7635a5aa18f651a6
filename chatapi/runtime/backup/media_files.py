"""The files of messages in a backup: those that the snapshot refers to, from the storage that has them."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from django.core.files import File
from django.core.files.storage import Storage, storages

from chatapi.runtime.backup.archive import BLOCK, Readable
from chatapi.runtime.backup.dump import Snapshot
from chatapi.runtime.backup.errors import BackupError, DamagedBackup

FOLDER = "media"
SAFE_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
# In plain SQL: the tables may be those of an older version, which the models do not fit.
STORED = "SELECT path FROM instances_storedfile WHERE is_stored"
OF_ONE_LINK = "SELECT path FROM instances_media WHERE file_id IS NULL"
OF_0_1_0 = "SELECT path FROM instances_media"


def storage() -> Storage:
    return storages["media"]


def paths(taken: Snapshot) -> Iterator[str]:
    """Yields the names in the storage of all files of the snapshot, without holding them in memory."""
    has = [
        row[0] is not None
        for table in ("instances_storedfile", "instances_media")
        for row in taken.session.execute("SELECT to_regclass(%s)", [table]).fetchall()
    ]
    if not has[1]:
        return  # a database without tables
    query = f"{STORED} UNION ALL {OF_ONE_LINK}" if has[0] else OF_0_1_0
    with taken.session.cursor("files") as cursor:
        cursor.itersize = 1000
        for (path,) in cursor.execute(query):
            yield path


@dataclass
class Source:
    """A file of the storage while it is copied. Raises BackupError if it cannot be read to its end."""

    path: str
    file: IO[bytes]
    size: int
    copied: int = 0

    def read(self, size: int = -1) -> bytes:
        with readable(self.path):
            data = self.file.read(size)
        self.copied += len(data)
        if len(data) < size and self.copied < self.size:
            raise BackupError(f"The file {self.path} of a message became shorter while it was copied.")
        return data


@contextmanager
def opened(path: str) -> Iterator[Source | None]:
    """Opens the file for the block; None if the storage has lost it. Raises BackupError if it cannot be read."""
    try:
        with readable(path):
            file, size = storage().open(path), storage().size(path)
    except FileNotFoundError:
        yield None
        return
    with file:
        yield Source(path, file, size)


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Turns errors of the file system and of the S3 library's many kinds into a BackupError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # noqa: BLE001
        raise BackupError(f"The file {path} of a message cannot be read: {error}.") from None


def path_of_member(name: str) -> str:
    """Returns the name in the storage of a member. Raises DamagedBackup if it leads out of the folder."""
    path = name.removeprefix(f"{FOLDER}/")
    if not SAFE_PATH.fullmatch(path) or PurePosixPath(path).is_absolute():
        raise DamagedBackup(f"{name!r} is not the name of a file in it")
    return path


def save(path: str, content: Readable) -> None:
    """Writes a file to the bucket under exactly this name. One that is there already is kept: names are random."""
    with tempfile.TemporaryFile() as file:  # an upload is repeated from its beginning
        while data := content.read(BLOCK):
            file.write(data)
        file.seek(0)
        try:
            if not storage().exists(path):
                storage().save(path, File(file))
        except Exception as error:  # noqa: BLE001 - of the many kinds of the S3 library
            raise BackupError(
                f"The file {path} of a message cannot be written to the bucket: {error}."
            ) from None
