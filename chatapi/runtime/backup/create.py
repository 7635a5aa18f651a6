"""`manage.py backup`: one file with everything that a site needs to start again, taken while it runs.

Database and files are those of one moment: the snapshot is kept until the last file is copied, and retention deletes
none meanwhile. The file gets its name when it is complete and, unless told otherwise, was restored in a PostgreSQL that
is thrown away, where no hook and no message was missing.
"""

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings

from chatapi import __version__
from chatapi.encryption.columns import key_ids_query
from chatapi.runtime.backup import media_files
from chatapi.runtime.backup.age import AgeWriter
from chatapi.runtime.backup.archive import ArchiveWriter
from chatapi.runtime.backup.dump import Snapshot, dumped, site_database, snapshot
from chatapi.runtime.backup.errors import BackupError
from chatapi.runtime.backup.partial_file import PartialFile, partial_file
from chatapi.runtime.backup.verification import verify_by_restoring
from chatapi.runtime.postgres.system_user import PostgresError
from chatapi.runtime.secret_rotation import tokens
from chatapi.ui.sizes import in_words

Say = Callable[[str], None]

README = """\
A backup of Chat API {version}, made on {created} UTC.

It contains the database with the messages of all users,{keys} and the files of messages.
{protection}

Restore it with version {version} or newer:

    DATA_DIR=/new/folder manage.py restore THIS_FILE

Without the product: database/* in order are one file of `pg_dump --format=custom`, for pg_restore {dump} or newer.
manifest.json, at the end, has the sums. docs/running/ of the product describes both.
"""
WITH_KEYS = " the keys that decrypt it (SECRET_KEY, SECRETS_KEY),"
WHO_CAN_READ = "With them all data can be read, and anyone's account opened: keep this file like a password."
WITHOUT_KEYS = (
    "The keys (SECRET_KEY, SECRETS_KEY) are not in it: without them its secrets cannot be decrypted."
)


@dataclass(frozen=True)
class Options:
    passphrase: str | None = None
    with_keys: bool = True
    with_media: bool = True
    verify: bool = True


def back_up(target: Path, options: Options, say: Say) -> Path:
    """Writes the backup; returns its path, in `target` if that is a folder.

    Raises:
        BackupError: with a sentence. No file was left, or one whose name ends with `.unverified`.
    """
    target = target.expanduser().absolute()
    if target.is_dir():
        suffix = ".tar.age" if options.passphrase else ".tar"
        target /= f"chatapi-{datetime.now(UTC):%Y%m%d-%H%M%S}{suffix}"
    try:
        with partial_file(target) as partial:
            manifest = write(partial, options, say)
            if options.verify:
                verify(partial, options, manifest, say)
            partial.publish()
    except OSError as error:
        raise BackupError(describe(error, target)) from None
    except (psycopg.Error, PostgresError) as error:
        raise BackupError(f"The database cannot be read: {str(error).strip().splitlines()[0]}") from None
    return target


def describe(error: OSError, target: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(target.parent).free if target.parent.exists() else 0
        return f"The disk of {target.parent} is full ({in_words(free)} free). No backup was written."
    return f"{target} cannot be written: {error.strerror or error}."


def write(partial: PartialFile, options: Options, say: Say) -> dict[str, Any]:
    """Writes the archive; returns its manifest."""
    raw = partial.file
    encrypted = AgeWriter(raw, options.passphrase) if options.passphrase else None
    archive = ArchiveWriter(encrypted or raw)
    created = datetime.now(UTC)
    with snapshot(site_database()) as taken, dumped(taken) as (dump, dump_version):
        about = {
            "product": "chatapi",
            "version": __version__,
            "created": created.isoformat(timespec="seconds"),
            "migrations": migrations(taken),
            "postgresql": taken.server,
            "pg_dump": dump_version,
            "database_bytes": database_bytes(taken),
            "secrets_keys": secrets_keys(taken),
            "has_keys": options.with_keys,
            "has_media": options.with_media,
        }
        archive.add("README.txt", readme(options, created, dump_version).encode())
        if options.with_keys:
            add_keys(archive)
        archive.add_stream("database", dump)
        missing = add_media(archive, taken) if options.with_media else []
        manifest = archive.finish(**about, missing_files=len(missing))
    if encrypted:
        encrypted.close()
    partial.complete()
    report(manifest, say)
    if missing:
        say(
            f"Warning: {len(missing)} files were missing in the storage before the backup, such as {missing[0]}."
        )
    return manifest


def readme(options: Options, created: datetime, dump_version: int) -> str:
    return README.format(
        version=__version__,
        created=f"{created:%Y-%m-%d %H:%M:%S}",
        keys=WITH_KEYS if options.with_keys else "",
        protection=WHO_CAN_READ if options.with_keys else WITHOUT_KEYS,
        dump=dump_version,
    )


def migrations(taken: Snapshot) -> list[str]:
    """Returns the applied migrations, as `app.name`; none for a database without tables."""
    exists = taken.session.execute("SELECT to_regclass('django_migrations')").fetchone()
    if exists is None or exists[0] is None:
        return []
    rows = taken.session.execute("SELECT app, name FROM django_migrations ORDER BY id").fetchall()
    return [f"{app}.{name}" for app, name in rows]


def secrets_keys(taken: Snapshot) -> list[str]:
    """Returns the ids of the keys that tokens are encrypted with: none before 0.2.0, or without tables."""
    column = tokens()
    if not taken.has_column(column.table, column.read.strip('"')):
        return []
    return sorted(id for id, _ in taken.session.execute(key_ids_query(column).encode()))


def database_bytes(taken: Snapshot) -> int:
    row = taken.session.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row
    return int(row[0])


def add_keys(archive: ArchiveWriter) -> None:
    """Adds the keys that this command uses, wherever they come from, and the demo login."""
    archive.add("keys/secret_key", settings.SECRET_KEY.encode())
    archive.add("keys/secrets_key", "\n".join(settings.SECRETS_KEY).encode())
    demo = settings.DATA_DIR / "demo.json"
    if demo.exists():
        archive.add("keys/demo.json", demo.read_bytes())


def add_media(archive: ArchiveWriter, taken: Snapshot) -> list[str]:
    """Adds the files of the snapshot; returns the names of those that the storage has lost."""
    missing = []
    for path in media_files.paths(taken):
        with media_files.opened(path) as found:
            if found is None:
                missing.append(path)
            else:
                archive.add_file(f"{media_files.FOLDER}/{path}", found, found.size)
    return missing


def report(manifest: dict[str, Any], say: Say) -> None:
    parts = manifest["parts"]
    media = parts.get("media", {"members": 0, "bytes": 0})
    database = in_words(parts["database"]["bytes"])
    say(f"Database: {in_words(manifest['database_bytes'])}, compressed {database}.")
    if manifest["has_media"]:
        say(f"Files of messages: {media['members']}, {in_words(media['bytes'])}.")


def verify(partial: PartialFile, options: Options, manifest: dict[str, Any], say: Say) -> None:
    """Keeps a file that cannot be restored as `….unverified`: it may be all there is. Raises BackupError."""
    try:
        for line in verify_by_restoring(partial.path, options.passphrase, manifest):
            say(line)
    except BackupError as error:
        kept = partial.target.with_name(f"{partial.target.name}.unverified")
        partial.publish(kept)
        raise BackupError(f"The backup failed its verification, and was kept as {kept}. {error}") from None
