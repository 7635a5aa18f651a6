"""`manage.py upgrade-database`: the embedded PostgreSQL's data is copied to the next major version, and kept.

The old server's database is dumped into a new one, by the programs of the new version: unlike pg_upgrade, this changes
nothing in the old data, builds indexes for the new version's sorting of text, and reads every row. The new data is
complete, migrated and compared before it takes the place of the old, which is renamed.

    pg/data              the data that PostgreSQL runs on
    pg/data-16           the old data, after the upgrade, until --confirm removes it
    upgraded/pg/data     the new data while it is made
    upgraded/complete    from here on the renames are decided; an interrupted upgrade continues

Without pg/data, and with old data beside it, PostgreSQL does not start (postgres/data_folder.py).
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from psycopg import sql

from chatapi.runtime.backup.dump import TABLES, Target, analyze, last_line
from chatapi.runtime.backup.errors import BackupError
from chatapi.runtime.backup.exchange import sync
from chatapi.runtime.backup.occupied import sole_use
from chatapi.runtime.backup.staging import (
    environment_of,
    lost_rows,
    migrate_and_check,
    remove_staging,
    running_in,
    staging_folder,
    superuser_of,
)
from chatapi.runtime.backup.verification import EMPTY_CLUSTER
from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.postgres.data_folder import FOLDERS, MAJOR, old_data, programs
from chatapi.runtime.postgres.discovery import NAME, ROLE
from chatapi.runtime.postgres.system_user import PostgresError
from chatapi.ui.sizes import in_words

Say = Callable[[str], None]

NEW = "upgraded"
COMPLETE = "complete"
REMOVED = "new-removed"  # in pg; every start removes what begins with `new-`


def upgrade(say: Say) -> None:
    """Upgrades the database, or completes an upgrade that was interrupted.

    Raises:
        BackupError: with a sentence. The old data is as it was.
    """
    with exclusive() as data:
        if (settings.DATA_DIR / NEW / COMPLETE).exists():
            put_in_place(data)
            say("An interrupted upgrade was completed. " + what_is_kept(data))
        elif not data.exists() and (old := old_data(data)):  # an interrupted --roll-back
            old[-1].rename(data)
            say(f"The database is PostgreSQL {version_of(data)} again.")
        elif (major := version_of(data)) == MAJOR:
            say(f"The database is PostgreSQL {MAJOR} already. " + what_is_kept(data))
        elif major in FOLDERS and major < MAJOR:
            with staging_folder(NEW, keep_if=COMPLETE) as new:
                copy(major, say)
                (new / COMPLETE).touch()
                sync(new)
                put_in_place(data)
            say(f"The database is PostgreSQL {MAJOR}. " + what_is_kept(data))
        else:
            raise BackupError(
                f"The data was written by PostgreSQL {major}, which this program does not include."
            )


def confirm(say: Say) -> None:
    """Removes the old data."""
    with exclusive() as data:
        old = old_data(data)
        if not data.exists() or not old:
            raise BackupError("There is no old data to remove.")
        for path in old:
            path.rename(data.with_name(REMOVED))  # what is removed in part is never taken for data
            shutil.rmtree(data.with_name(REMOVED))
            say(f"{path} was removed.")


def roll_back(say: Say) -> None:
    """Returns to the old data; what was written since the upgrade is kept beside it."""
    with exclusive() as data:
        old = old_data(data)
        if not data.exists() or not old:
            raise BackupError("There is no old data to return to.")
        new = data.with_name(f"rolled-back-{version_of(data)}")
        if new.exists():
            raise BackupError(f"{new} is left from an earlier roll-back; remove it first.")
        data.rename(new)
        old[-1].rename(data)
        sync(data.parent)
        say(
            f"The database is PostgreSQL {version_of(data)} again, as it was before the upgrade. What was written "
            f"since then is in {new}. Start a version of this program that includes PostgreSQL {version_of(data)}."
        )


@contextmanager
def exclusive() -> Iterator[Path]:
    """Keeps everything else away from the database for the block; yields its folder."""
    if not settings.EMBEDDED_POSTGRES:
        raise BackupError("With DATABASE_URL, the server is yours: upgrade it as its documentation says.")
    data = settings.DATA_DIR / "pg" / "data"
    if not data.exists() and not old_data(data):
        raise BackupError(f"{settings.DATA_DIR} has no database; the first start creates one.")
    try:
        with sole_use():
            yield data
    except OSError as error:
        raise BackupError(
            f"{error.filename or settings.DATA_DIR}: {error.strerror or error}. The old data is as it was."
        ) from None
    except (psycopg.Error, PostgresError) as error:
        raise BackupError(f"{str(error).strip().splitlines()[0]} The old data is as it was.") from None


def version_of(data: Path) -> int:
    try:
        return int((data / "PG_VERSION").read_text())
    except (OSError, ValueError):
        raise BackupError(f"{data} is not the data of a PostgreSQL.") from None


def what_is_kept(data: Path) -> str:
    if not (old := old_data(data)):
        return "No old data is kept."
    return (
        f"The old data is kept in {old[-1]}: `manage.py upgrade-database --confirm` removes it, `--roll-back` returns "
        "to it, without what was written since the upgrade."
    )


def put_in_place(data: Path) -> None:
    """Renames the old data and then the new. Repeatable: without pg/data, only the second is left to be done."""
    new = settings.DATA_DIR / NEW
    if (new / "pg" / "data").exists():
        if data.exists():
            data.rename(data.with_name(f"data-{version_of(data)}"))
            sync(data.parent)
        (new / "pg" / "data").rename(data)
        sync(data.parent)
    (new / COMPLETE).unlink()
    remove_staging(new)


# -- the copy


def copy(major: int, say: Say) -> None:
    """Copies the database of the old server into a new one in DATA_DIR/upgraded, and compares them."""
    folder, new = settings.DATA_DIR, settings.DATA_DIR / NEW
    old_server = postgres_server.start(folder / "pg", major=major)
    try:
        source, target = superuser_of(folder), superuser_of(new)
        check_space(source)
        with running_in(new):
            for warning in left_behind(source):
                say(f"Warning: {warning}")
            pipe(source, target)
            say(f"{compare(source, target)} tables have as many rows as before.")
            environment = environment_of(new)
            migrate_and_check(environment)
            analyze(target)
            for line in lost_rows(environment)[0]:
                say(line)
    finally:
        postgres_server.stop(old_server)


def check_space(source: Target) -> None:
    with source.connect() as session:
        row = session.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row
    needed, free = row[0] + EMPTY_CLUSTER, shutil.disk_usage(settings.DATA_DIR).free
    if free < needed:
        raise BackupError(
            f"{in_words(needed)} are needed in {settings.DATA_DIR}, and {in_words(free)} are free. "
            "The old data is as it was."
        )


def left_behind(source: Target) -> Iterator[str]:
    """Yields a sentence about everything of the operator's own that is not copied."""
    with source.connect() as session:
        for what, query in (
            ("roles", f"SELECT rolname FROM pg_roles WHERE oid >= 16384 AND rolname <> '{ROLE}'"),
            ("databases", f"SELECT datname FROM pg_database WHERE oid >= 16384 AND datname <> '{NAME}'"),
            ("settings", "SELECT name FROM pg_file_settings WHERE sourcefile LIKE '%postgresql.auto.conf'"),
        ):
            if found := [name for (name,) in session.execute(query).fetchall()]:
                yield f"These {what} of PostgreSQL are not copied: {', '.join(found)}."


def pipe(source: Target, target: Target) -> None:
    """pg_dump | pg_restore, both of the new version. Nothing is stored in between."""
    folder = programs(MAJOR)
    dump = [
        str(folder / "pg_dump"), "--format=custom", "--compress=0", "--no-owner", "--no-privileges",
        "--extension=plpgsql", f"--dbname={source.conninfo}",
    ]  # fmt: skip
    load = [
        str(folder / "pg_restore"), "--exit-on-error", "--no-owner", "--no-privileges", f"--role={ROLE}",
        f"--dbname={target.conninfo}",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as said_by_dump, tempfile.TemporaryFile() as said_by_load:
        dumping = subprocess.Popen(
            dump, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said_by_dump
        )
        assert dumping.stdout
        loading = subprocess.Popen(load, stdin=dumping.stdout, stdout=subprocess.DEVNULL, stderr=said_by_load)
        dumping.stdout.close()  # pg_dump ends when pg_restore does
        try:
            codes = loading.wait(), dumping.wait()
        finally:
            for process in (loading, dumping):
                process.kill()
                process.wait()
        # the one that failed first has made the other fail
        for code, said in ((codes[0], said_by_load), (codes[1], said_by_dump)):
            if code:
                raise BackupError(
                    f"The database could not be copied: {last_line(said)} The old data is as it was."
                )


def compare(source: Target, target: Target) -> int:
    """Returns the number of tables. Raises BackupError if one has other rows than before, by their number."""
    before, after = row_counts(source), row_counts(target)
    for name, number in before.items():
        if after.get(name) != number:
            raise BackupError(
                f"The copy of {'.'.join(name)} has {after.get(name, 'no')} rows instead of {number}. "
                "The old data is as it was."
            )
    return len(before)


def row_counts(database: Target) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    with database.connect() as session:
        names: list[Any] = session.execute(TABLES).fetchall()
        for name in names:
            row = session.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*name))).fetchone()
            assert row
            counts[name] = row[0]
    return counts
