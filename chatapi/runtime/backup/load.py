"""Loads a backup into a DATA_DIR and a database, in one pass over the file."""

import os
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from chatapi.runtime.backup import media_files
from chatapi.runtime.backup.archive import BLOCK, Member, open_archive
from chatapi.runtime.backup.dump import Loading, Target
from chatapi.runtime.backup.errors import DamagedBackup

KEY_FILES = {f"keys/{name}": name for name in ("secret_key", "secrets_key", "demo.json")}
MAX_KEY_FILE = 1024 * 1024


@dataclass(frozen=True)
class Destination:
    """Where the members of a backup go: keys and files into `folder`, the database into `target`.

    What is left out is only read. The user of the connection owns the tables, and is no superuser of the embedded
    PostgreSQL: the statements in a backup are executed, and it may have been changed.
    """

    folder: Path
    target: Target | None
    in_one_transaction: bool = True
    with_media: bool = True
    with_keys: bool = True
    s3: bool = False  # files go to the bucket

    def loading(self, dump: int) -> Loading | None:
        if self.target is None:
            return None
        return Loading(self.target, dump=dump, in_one_transaction=self.in_one_transaction)


def load(source: Path, passphrase: str | None, destination: Destination, *, dump: int) -> dict[str, Any]:
    """Loads the backup, whose pg_dump had the major version `dump`; returns its manifest.

    Raises:
        BackupError: a part was loaded; what is in the destination is of no use.
    """
    with open(source, "rb") as file, ExitStack() as ended:
        archive = open_archive(file, passphrase)
        loading: Loading | None = None
        for member in archive:
            if member.name.startswith("database/"):
                if destination.target is None:
                    continue
                if loading is None:
                    loading = destination.loading(dump)
                    assert loading
                    ended.callback(loading.close)
                copy(member, loading)
            elif member.name.startswith(f"{media_files.FOLDER}/"):
                if destination.with_media:
                    save_file(member, destination)
            elif member.name in KEY_FILES and destination.with_keys:
                save_key(member, destination.folder)
        if loading is not None:
            loading.finish()
        elif destination.target is not None:
            raise DamagedBackup("it has no database")
        return archive.manifest


def copy(member: Member, output: Any) -> None:
    while data := member.content.read(BLOCK):
        output.write(data)


def save_file(member: Member, destination: Destination) -> None:
    path = media_files.path_of_member(member.name)
    if destination.s3:
        media_files.save(path, member.content)
        return
    name = destination.folder / media_files.FOLDER / path
    name.parent.mkdir(parents=True, exist_ok=True)
    with new_file(name, member) as file:
        shutil.copyfileobj(member.content, file, BLOCK)


def save_key(member: Member, folder: Path) -> None:
    with new_file(folder / KEY_FILES[member.name], member) as file:
        file.write(member.content.read(MAX_KEY_FILE))


def new_file(name: Path, member: Member) -> IO[bytes]:
    """Opens the file (mode 600) of a member. Raises DamagedBackup if another member was written to it."""
    try:
        return open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb")
    except FileExistsError:
        raise DamagedBackup(f"{member.name!r} is in it twice") from None
