"""`manage.py restore`: a backup becomes the site of an empty DATA_DIR, or of one whose content is kept aside.

The whole backup is read and checked first. Then it is restored beside what is there, migrated to this version and
checked; only a restored site that is complete takes its place (exchange.py). With DATABASE_URL, the database is loaded
in one transaction, into a database without tables.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
from django.conf import settings
from django.db.migrations.loader import MigrationLoader

from chatapi import __version__
from chatapi.encryption.cipher import known_keys
from chatapi.runtime.backup import exchange
from chatapi.runtime.backup.archive import verify
from chatapi.runtime.backup.dump import analyze, site_database
from chatapi.runtime.backup.errors import BackupError
from chatapi.runtime.backup.load import Destination, load
from chatapi.runtime.backup.occupied import sole_use
from chatapi.runtime.backup.staging import (
    KEYS,
    application_of,
    environment_of,
    lost_rows,
    migrate_and_check,
    run,
    running_in,
    staging_folder,
    superuser_of,
)
from chatapi.runtime.backup.verification import EMPTY_CLUSTER
from chatapi.runtime.postgres.data_folder import EXCHANGE
from chatapi.runtime.postgres.system_user import PostgresError, folder_with_owner
from chatapi.runtime.unprivileged import give_data_dir
from chatapi.ui.sizes import in_words

Say = Callable[[str], None]

CLOCK_SECONDS = 2  # by which the start of a process, as the system reports it, may be late


@dataclass(frozen=True)
class Options:
    passphrase: str | None = None
    replace: bool = False  # what is in DATA_DIR is moved aside
    pause: bool = False  # instances are stopped: see holding.py


def restore(source: Path, options: Options, say: Say) -> bool:
    """Restores the backup; returns whether no hook and no message is missing in it.

    Raises:
        BackupError: with a sentence. What was in DATA_DIR is as it was.
    """
    folder = settings.DATA_DIR
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with sole_use():
            remove_new_keys(folder)
            if exchange.is_interrupted(folder):
                aside = exchange.finish(folder)
                if settings.EMBEDDED_POSTGRES:
                    give_to_owner(folder)
                say("An interrupted restore was completed." + kept(aside))
                return True
            raise_if_occupied(folder, options)
            manifest = verify(source, options.passphrase)
            raise_if_newer(manifest)
            say(
                f"The backup of {manifest['created']} (version {manifest['version']}) is complete and undamaged."
            )
            raise_without_space(folder, manifest)
            raise_without_keys(manifest)
            if settings.EMBEDDED_POSTGRES:
                return restore_embedded(source, manifest, options, say)
            return restore_into_server(source, manifest, options, say)
    except OSError as error:
        raise BackupError(f"{error.filename or source}: {error.strerror or error}.") from None
    except (psycopg.Error, PostgresError) as error:
        raise BackupError(f"The database cannot be used: {str(error).strip().splitlines()[0]}") from None


# -- before anything is changed


def raise_if_occupied(folder: Path, options: Options) -> None:
    """Raises BackupError if there is a site already."""
    media = folder / "media"
    found = [path for path in (folder / "pg" / "data", media) if path.is_dir() and any(path.iterdir())]
    if found and not options.replace:
        raise BackupError(
            f"{folder} has data already ({', '.join(path.name for path in found)}). Restore into an empty folder "
            "(DATA_DIR=/your/folder), or with --replace, which keeps what is there in a folder beside it."
        )
    if not settings.EMBEDDED_POSTGRES:
        with site_database().connect() as session:
            row = session.execute("SELECT to_regclass('django_migrations')").fetchone()
        if row and row[0] is not None:
            raise BackupError(
                "The database of DATABASE_URL has tables already. Create an empty one, and set DATABASE_URL to it."
            )


def raise_if_newer(manifest: dict[str, Any]) -> None:
    """Raises BackupError if the backup has migrations that this version does not have."""
    loader = MigrationLoader(None)
    known = {f"{app}.{name}" for app, name in [*loader.disk_migrations, *loader.replacements]}
    newer = [name for name in manifest["migrations"] if name not in known]
    if newer:
        raise BackupError(
            f"The backup was made by a newer version ({manifest['version']}) of this program, {__version__} does not "
            f"know its migration {newer[-1]}. Install that version, and run this again."
        )


def raise_without_space(folder: Path, manifest: dict[str, Any]) -> None:
    media = manifest["parts"].get("media", {"bytes": 0})["bytes"]
    needed = media * (not settings.MEDIA_S3_BUCKET)
    if settings.EMBEDDED_POSTGRES:
        needed += manifest["database_bytes"] + EMPTY_CLUSTER
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupError(f"{in_words(needed)} are needed in {folder}, and {in_words(free)} are free.")


def raise_without_keys(manifest: dict[str, Any]) -> None:
    """Raises BackupError if the backup has no keys and those of the settings do not decrypt its secrets."""
    if manifest["has_keys"]:
        return
    missing = sorted(set(manifest.get("secrets_keys", [])) - known_keys().keys())
    if missing:
        raise BackupError(
            "SECRETS_KEY: the backup has secrets that were encrypted with a key that is not in it "
            f"({', '.join(missing)}), and contains no keys. Set SECRETS_KEY to the key of the site that was backed up, "
            "or put its file secrets_key into DATA_DIR."
        )


# -- the embedded PostgreSQL


def restore_embedded(source: Path, manifest: dict[str, Any], options: Options, say: Say) -> bool:
    with staging_folder(exchange.NEW, keep_if=f"../{EXCHANGE}") as new:
        with running_in(new):
            destination = Destination(
                new, application_of(new), in_one_transaction=False, s3=bool(settings.MEDIA_S3_BUCKET)
            )
            load(source, options.passphrase, destination, dump=manifest["pg_dump"])
            analyze(superuser_of(new))
            keep_present_keys(new)
            is_right = complete(environment_of(new), options, say)
        give_to_owner(new)
        put_in_place(manifest, say)
        give_to_owner(settings.DATA_DIR)
    return is_right


def complete(environment: dict[str, str], options: Options, say: Say) -> bool:
    """Migrates the restored database, and says what the checks say; returns whether nothing is missing."""
    migrate_and_check(environment)
    lines, is_right = lost_rows(environment)
    for line in lines:
        say(line)
    if options.pause:
        say(run(environment, "restored", "hold")[-1] + " Start them with: manage.py restored start")
    else:
        say("What was waiting at the time of the backup is sent when the site starts (--pause prevents it).")
    return is_right


def keep_present_keys(new: Path) -> None:
    """Of a backup without keys, the site keeps those that it has."""
    for name in KEYS:
        present = settings.DATA_DIR / name
        if present.exists() and not (new / name).exists():
            shutil.copy2(present, new / name)


def give_to_owner(folder: Path) -> None:
    """Root restores, and another user runs the product: files belong to the owner of pg, as after `manage.py up`."""
    if os.getuid() == 0 and (account := folder_with_owner(folder / "pg")):
        give_data_dir(folder, account)


def put_in_place(manifest: dict[str, Any], say: Say) -> None:
    folder = settings.DATA_DIR
    aside = exchange.exchange(folder, f"before-restore-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    say(f"{folder} has the site of {manifest['created']}." + kept(aside))
    warn_of_keys(folder, manifest, say)


def kept(aside: Path | None) -> str:
    return f" What was there is in {aside}; remove it when you no longer need it." if aside else ""


def remove_new_keys(folder: Path) -> None:
    """Removes keys that the start of this command has created: no site has used them."""
    began = psutil.Process().create_time() - CLOCK_SECONDS
    for name in KEYS:
        path = folder / name
        if path.exists() and path.stat().st_ctime >= began and not (folder / "pg" / "data").exists():
            path.unlink()


def warn_of_keys(folder: Path, manifest: dict[str, Any], say: Say) -> None:
    """Warns if the keys of the environment, which take precedence, are not those of the backup."""
    if not manifest["has_keys"]:
        return
    for name, given in (("secret_key", (settings.SECRET_KEY,)), ("secrets_key", settings.SECRETS_KEY)):
        variable = name.upper()
        is_set = os.environ.get(variable) or os.environ.get(f"{variable}_FILE")
        if is_set and not set((folder / name).read_text().split()) <= set(given):
            say(
                f"Warning: {variable} is set, and is not the one of the backup, which is in {folder / name}. "
                "Set it to that, or remove the setting."
            )


# -- a server of one's own


def restore_into_server(source: Path, manifest: dict[str, Any], options: Options, say: Say) -> bool:
    """The files and keys take their place first: if this is interrupted, the database has no tables yet."""
    with staging_folder(exchange.NEW, keep_if=f"../{EXCHANGE}") as new:
        destination = Destination(new, None, s3=bool(settings.MEDIA_S3_BUCKET))
        load(source, options.passphrase, destination, dump=manifest["pg_dump"])
        keep_present_keys(new)
        put_in_place(manifest, say)
    only_database = Destination(settings.DATA_DIR, site_database(), with_media=False, with_keys=False)
    load(source, options.passphrase, only_database, dump=manifest["pg_dump"])
    analyze(site_database())
    return complete(environment_of(settings.DATA_DIR, embedded=False), options, say)
