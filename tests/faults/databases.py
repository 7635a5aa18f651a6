"""PostgreSQL servers of a test's own: one that can be restarted, and a primary with a synchronous standby."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from django.conf import settings

from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.postgres.data_folder import environment, make_socket_folder, programs
from chatapi.runtime.postgres.discovery import NAME, Server, socket_folder
from chatapi.runtime.postgres.system_user import folder_with_owner, prefix
from tests.hooks.dispatch.dispatching import Dispatch, wait_until
from tests.product import Product, copy_data, manage, prepared, product_environment

STANDBY = "standby"  # the name by which the primary knows it


class Database:
    """A PostgreSQL server for the test, with the product's tables, that can be restarted."""

    def __init__(self, folder: Path, *, is_copied: bool = True) -> None:
        """`is_copied`: its data is a copy of one that was created once for the run, and not created in the folder."""
        is_copied = is_copied and Product.prepared_in is not None
        self.path = folder / "pg"
        if is_copied:
            copy_data(prepared("database", create_database), folder)
        self.start()
        self.url = url_of(self.path)
        self.environment = product_environment(
            folder,
            DATABASE_URL=self.url,
            HOOKS_ALLOW_NETWORKS="127.0.0.0/8",
            SECRETS_KEY=",".join(settings.SECRETS_KEY),  # the dispatcher's; see Dispatch
        )
        if not is_copied:
            done = manage("migrate", environment=self.environment)
            assert done.returncode == 0, done.stderr

    def stop(self) -> None:
        postgres_server.stop(self.server)

    def start(self) -> None:
        self.server = postgres_server.start(self.path, thrown_away=True)


def create_database(folder: Path) -> None:
    """Creates a database with the product's tables, and stops it."""
    Database(folder, is_copied=False).stop()


class Pair(Database):
    """A primary whose commits wait for its standby. `kill_primary()`, then `promote()` the standby.

    `environment` and `url` name both hosts, so that clients find the primary.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.standby_path = folder / "standby" / "pg"
        self.standby = start_standby(self.path, self.standby_path)
        with psycopg.connect(superuser(self.path), autocommit=True) as session:
            # The servers do not wait for the disk, but commits wait for the standby.
            session.execute(f"ALTER DATABASE {NAME} SET synchronous_commit = on")
            session.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")
            session.execute("SELECT pg_reload_conf()")
            wait_until(lambda: is_synchronous(session), "the standby is synchronous")
        hosts = ",".join(f"{quote(str(socket_folder(path)), safe='')}:5432" for path in self.paths)
        self.url = f"postgresql://{NAME}@{hosts}/{NAME}"
        self.environment |= {"DATABASE_URL": self.url}

    @property
    def paths(self) -> tuple[Path, Path]:
        return self.path, self.standby_path

    def wait_for_standby(self) -> None:
        """Waits until the standby has everything that was committed, also by commits that do not wait for it."""
        with psycopg.connect(superuser(self.path), autocommit=True) as session:
            written = session.execute("SELECT pg_current_wal_insert_lsn()").fetchone()

            def has_it() -> bool:
                found = "SELECT replay_lsn >= %s::pg_lsn FROM pg_stat_replication"
                return session.execute(found, written).fetchone() == (True,)

            wait_until(has_it, "the standby has replayed everything")

    def kill_primary(self) -> None:
        """Kills the primary with SIGKILL, all of its processes at once."""
        main = psutil.Process(self.server.pid)
        for process in [main, *main.children()]:
            process.send_signal(signal.SIGKILL)
        main.wait(10)

    def promote(self) -> None:
        """Makes the standby the primary. Its commits wait for no standby: it has not that setting."""
        with psycopg.connect(superuser(self.standby_path), autocommit=True) as session:
            row = session.execute("SELECT pg_promote(true, 60)").fetchone()
            assert row == (True,)

    def stop(self) -> None:
        postgres_server.stop(self.standby)
        super().stop()


@contextlib.contextmanager
def dispatcher_on(database: Database, folder: Path, **variables: str) -> Iterator[Dispatch]:
    """Runs a dispatcher on that database. It may still be starting: tests wait for its first request."""
    with contextlib.ExitStack() as ended:
        process = Dispatch(folder, DATABASE_URL=database.url, **variables)
        ended.push(process)
        yield process


@contextlib.contextmanager
def said_on_failure(dispatcher: Dispatch, database: Database) -> Iterator[None]:
    """Adds what the dispatcher and PostgreSQL have logged to a failed assertion."""
    try:
        yield
    except AssertionError as error:
        logged = (database.path.parent / "pg.log").read_text(errors="replace")
        raise AssertionError(f"{error}\n{dispatcher.output[-3000:]}\n{logged[-3000:]}") from error


def url_of(path: Path) -> str:
    """Returns the DATABASE_URL of the server on this data, without TCP."""
    return f"postgresql:///{NAME}?host={quote(str(socket_folder(path)), safe='')}&user={NAME}"


def superuser(path: Path) -> str:
    return psycopg.conninfo.make_conninfo(host=str(socket_folder(path)), user=NAME, dbname="postgres")


def start_standby(primary: Path, path: Path) -> Server:
    """Copies the primary with pg_basebackup, and starts the copy as its streaming standby."""
    account = folder_with_owner(path)
    folder = programs()
    make_socket_folder(
        socket_folder(path),
        account.pw_uid if account else os.getuid(),
        account.pw_gid if account else os.getgid(),
    )
    words = prefix(account, [folder / "postgres", path], die_with_parent=True)
    source = psycopg.conninfo.make_conninfo(
        host=str(socket_folder(primary)), user=NAME, application_name=STANDBY
    )
    copied = subprocess.run(
        [*words, str(folder / "pg_basebackup"), "--pgdata", str(path / "data"), "--dbname", source,
         "--write-recovery-conf", "--checkpoint=fast", "--no-sync"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", env=environment(), timeout=60,
    )  # fmt: skip
    assert copied.returncode == 0, copied.stderr
    return postgres_server.launch(path, folder, words, thrown_away=True)


def is_synchronous(session: psycopg.Connection[tuple[object, ...]]) -> bool:
    row = session.execute(
        "SELECT count(*) FROM pg_stat_replication WHERE application_name = %s AND sync_state = 'sync'",
        [STANDBY],
    ).fetchone()
    return row == (1,)
