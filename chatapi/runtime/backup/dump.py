"""The database in a backup: one snapshot, dumped by pg_dump into a pipe and loaded by pg_restore from one."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg
from django.db import connections
from psycopg import sql

from chatapi.database.lost_sessions import CLIENT_OPTIONS
from chatapi.runtime.backup.client_programs import LAST_OF_OLD_SETTINGS, major_of, program_of
from chatapi.runtime.backup.errors import BackupError
from instances.media.deletion_lock import FILES_LOCK

LOCK_SECONDS = 60  # a migration or a retention run holds a table for less
# pg_dump's level: a log of hooks compresses to a tenth in a third of the time that its default of 6 takes
COMPRESSION = "gzip:3"
# Partitions are locked with their table. What an extension owns is not dumped.
TABLES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
"""


@dataclass(frozen=True)
class Target:
    """A database that libpq's programs connect to; `secrets` go into their environment, not on the command line."""

    parameters: dict[str, str]

    def connect(self, **options: Any) -> "psycopg.Connection[Any]":
        return psycopg.connect(**self.parameters, **options)  # type: ignore[arg-type]

    @property
    def conninfo(self) -> str:
        public = {name: value for name, value in self.parameters.items() if name not in SECRETS}
        return psycopg.conninfo.make_conninfo(**public)

    @property
    def environment(self) -> dict[str, str]:
        secrets = {SECRETS[name]: value for name, value in self.parameters.items() if name in SECRETS}
        return os.environ | secrets

    @property
    def may_use_tls(self) -> bool:
        """Whether TLS may be needed: not through a Unix socket, and not if the URL excludes it."""
        hosts = self.parameters.get("host", "").split(",")
        return self.parameters.get("sslmode") != "disable" and not all(
            host.startswith(("/", "@")) or host in ("", "127.0.0.1", "::1", "localhost") for host in hosts
        )


SECRETS = {"password": "PGPASSWORD", "sslpassword": "PGSSLPASSWORD"}


def site_database() -> Target:
    """The database of the settings.

    Without the short time of lost_sessions.py: a server may take longer to read what pg_restore sends.
    """
    given = connections["default"].get_connection_params()
    given = {name: value for name, value in given.items() if CLIENT_OPTIONS.get(name) != value}
    known = {default.keyword.decode() for default in psycopg.pq.Conninfo.get_defaults()}
    return Target({name: str(value) for name, value in given.items() if name in known and value is not None})


def major_version(session: "psycopg.Connection[Any]") -> int:
    return session.info.server_version // 10_000


@dataclass
class Snapshot:
    """The database at one moment. `session` sees it; pg_dump sees the same with `id`."""

    session: "psycopg.Connection[Any]"
    target: Target
    id: str

    @property
    def server(self) -> int:
        return major_version(self.session)

    def has_column(self, table: str, column: str) -> bool:
        """Whether it exists: the tables may be those of an older version, or missing."""
        found = self.session.execute(
            "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped",
            [table, column],
        )
        return found.fetchone() is not None


@contextmanager
def snapshot(target: Target) -> Iterator[Snapshot]:
    """Keeps a snapshot during the block, and every file that it refers to: retention deletes none meanwhile.

    The tables cannot be dropped or altered meanwhile either; reading and writing continue.
    """
    with target.connect(autocommit=True) as session:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"):
            if name != "transaction_timeout" or major_version(session) > LAST_OF_OLD_SETTINGS:
                session.execute("SELECT set_config(%s, '0', false)", [name])
        session.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_SECONDS}s"])
        session.execute("SELECT pg_advisory_lock_shared(%s)", [FILES_LOCK])
        tables = session.execute(TABLES).fetchall()
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # Before the snapshot is taken: which partitions a table has is not part of it, and pg_dump fails if a table of
        # the snapshot is gone.
        if tables:
            names = sql.SQL(", ").join(sql.Identifier(*name) for name in tables)
            session.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
        row = session.execute("SELECT pg_export_snapshot()").fetchone()
        assert row
        yield Snapshot(session, target, row[0])
        session.execute("ROLLBACK")
        # PostgreSQL would release it only when it has noticed that the connection is closed.
        session.execute("SELECT pg_advisory_unlock_shared(%s)", [FILES_LOCK])


@contextmanager
def dumped(taken: Snapshot) -> Iterator[tuple[IO[bytes], int]]:
    """Yields pg_dump's output, and its major version. Raises BackupError at the end if it fails."""
    target = taken.target
    program = program_of("pg_dump", taken.server, tls=target.may_use_tls)
    command = [
        str(program), "--format=custom", f"--compress={COMPRESSION}" if has_methods(program) else "--compress=3",
        "--no-owner", "--no-privileges", "--no-subscriptions", "--no-publications",
        # no extension but this one, which every database has: the product needs none
        "--extension=plpgsql",
        f"--snapshot={taken.id}", f"--lock-wait-timeout={LOCK_SECONDS}s",
        "--no-password", f"--dbname={target.conninfo}",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, env=target.environment
        )
        assert process.stdout
        try:
            yield process.stdout, major_of(program)
            if process.wait():
                raise BackupError(f"The database could not be dumped: {last_line(said)}")
        finally:
            process.stdout.close()
            process.kill()
            process.wait()


class Loading:
    """pg_restore, which loads what is written to it into a database, as one transaction on a server of one's own."""

    def __init__(self, target: Target, *, dump: int, in_one_transaction: bool) -> None:
        with target.connect() as session:
            server = major_version(session)
        program = program_of("pg_restore", server, dump=dump, tls=target.may_use_tls)
        command = [
            str(program), "--exit-on-error", "--no-owner", "--no-privileges", "--no-password",
            *(["--single-transaction"] if in_one_transaction else []),
            f"--dbname={target.conninfo}",
        ]  # fmt: skip
        self.said = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self.said,
            env=target.environment,
        )
        assert self.process.stdin
        self.input = self.process.stdin

    def write(self, data: bytes) -> None:
        try:
            self.input.write(data)
        except BrokenPipeError:
            self.finish()

    def finish(self) -> None:
        """Raises BackupError if not everything was loaded."""
        try:
            self.input.close()
        except BrokenPipeError:
            pass
        if self.process.wait():
            raise BackupError(f"The database could not be loaded: {last_line(self.said)}")

    def close(self) -> None:
        """Ends it, whatever it has done."""
        self.process.kill()
        self.process.wait()
        self.said.close()


def analyze(target: Target) -> None:
    """Collects the statistics of all tables: with those of empty tables, a claim of hooks takes seconds."""
    with target.connect(autocommit=True) as session:
        session.execute("ANALYZE")


def has_methods(program: Path) -> bool:
    """Whether pg_dump's --compress takes the name of a method: since version 16."""
    return major_of(program) >= 16


def last_line(said: IO[bytes]) -> str:
    """Returns the first error that a program has printed, as one sentence."""
    said.seek(0)
    lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    line = next((line for line in lines if "error:" in line), lines[-1] if lines else "no message")
    return f"{line.partition('error: ')[2] or line}".strip().rstrip(".") + "."
