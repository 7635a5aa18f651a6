"""The embedded PostgreSQL: created once in DATA_DIR/pg, run as a child process, reachable only by a Unix socket.

settings.py uses `embedded_database`, `manage.py up` uses `start` and `stop`, every other command uses `running`: it
uses the running server or starts one, and the last command to end stops it.
The wheel's own get_server() is not used: as root it makes every folder above its data readable for all users.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatapi.runtime.postgres.data_folder import (
    MAJOR,
    check_version,
    environment,
    make_data,
    make_socket_folder,
    programs,
)
from chatapi.runtime.postgres.discovery import (
    NAME,
    ROLE,
    START_SECONDS,
    Server,
    connection_fault,
    find_running_server,
    socket_folder,
    tag,
    with_driver,
)
from chatapi.runtime.postgres.system_user import PostgresError, folder_with_owner, prefix

if TYPE_CHECKING:
    import psycopg

STOP_SECONDS = 9
MAX_LOG_BYTES = 10_000_000  # the next start renames a longer pg.log to pg.log.1

CONFIG = {
    "listen_addresses": "",  # no TCP: access is controlled by the socket's folder (mode 700)
    "max_connections": "200",  # 40 threads per web process, 5 background processes, commands, and a reserve
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",  # it slows queries of milliseconds down
    "random_page_cost": "1.1",
    # Hooks change state a few times and are deleted after 30 days: vacuum often, in small portions.
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.05",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    # A refused row is logged without its values: statements and details contain e-mail addresses and password hashes.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    # The client gets the error of its statement, and logs it; the message may quote a value.
    "log_min_messages": "log",
}
# For databases of tests: a commit does not wait for the disk.
THROWN_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def embedded_database(path: Path) -> dict[str, str]:
    """Django's DATABASES entry for the PostgreSQL in `path`. Starts nothing and reads nothing."""
    return {"NAME": NAME, "USER": ROLE, "HOST": str(socket_folder(path)), "PORT": "5432"}


# -- starting


def start(
    path: Path, *, die_with_parent: bool = True, thrown_away: bool = False, major: int = MAJOR
) -> Server:
    """Start PostgreSQL, or use the one that already runs on the data; create the data if it is missing.

    `major` is the version of the data, another one only for its upgrade.

    Returns when it accepts connections and the database exists. Simultaneous starts wait for each other.
    `die_with_parent`: it stops when the calling thread ends, also after kill -9 (Linux).

    Raises:
        PostgresError: with one sentence for the user.
    """
    account = folder_with_owner(path)
    data = path / "data"
    folder = programs(major)
    with locked(path):
        check_version(data, major)
        # Only the owner may use a socket in the folder for long paths.
        owner = account.pw_uid if account else os.getuid()
        make_socket_folder(socket_folder(path), owner, account.pw_gid if account else os.getgid())
        server = find_running_server(path)
        if not server:
            for old in path.glob("new-*"):
                shutil.rmtree(old)
            words = prefix(account, [folder / "postgres", path], die_with_parent)
            if not (data / "PG_VERSION").exists():
                make_data(path, folder, words, thrown_away)
            server = launch(path, folder, words, thrown_away)
        with_driver(lambda: make_database(path))
    return server


def launch(path: Path, folder: Path, words: list[str], thrown_away: bool) -> Server:
    config = (
        CONFIG
        | {"unix_socket_directories": str(socket_folder(path)), "cluster_name": tag(path)}
        | (THROWN_AWAY if thrown_away else {})
    )
    command = [*words, str(folder / "postgres"), "-D", str(path / "data")]
    for name, value in config.items():
        command += ["-c", f"{name}={value}"]
    log = path.parent / "pg.log"
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(log.with_name("pg.log.1"))
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        written = output.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", env=environment(),
            start_new_session=True,  # Ctrl-C in the terminal reaches `up`, which stops it last
        )  # fmt: skip
    until = time.monotonic() + START_SECONDS
    while (fault := connection_fault(path)) is not None:
        if process.poll() is not None:
            said = log.read_bytes()[written:].decode(errors="replace").strip().splitlines()
            reason = next((line for line in said if "FATAL" in line), said[-1] if said else "no message")
            raise PostgresError(
                f"PostgreSQL ended while starting ({log}): {reason.split('FATAL:')[-1].strip()}."
            )
        if time.monotonic() > until:
            stop(Server(path, process.pid, process))
            raise PostgresError(
                f"PostgreSQL did not accept connections within {START_SECONDS} s ({log}): {fault}."
            )
        time.sleep(0.02)
    return Server(path, process.pid, process)


def make_database(path: Path) -> None:
    """Create the application's role and its database. A database of version 0.1.0 gets the role as its owner.

    Raises:
        PostgresError: PostgreSQL ended meanwhile.
    """
    import psycopg

    try:
        make_role_and_database(path)
    except psycopg.OperationalError as error:
        raise PostgresError(
            f"PostgreSQL ended while its database was created: {str(error).strip()}."
        ) from None


def make_role_and_database(path: Path) -> None:
    import psycopg

    with psycopg.connect(
        host=str(socket_folder(path)), user=NAME, dbname="postgres", autocommit=True
    ) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
            connection.execute(f"CREATE ROLE {ROLE} LOGIN")
        owner = connection.execute(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", [NAME]
        ).fetchone()
        if owner is None:
            connection.execute(f"CREATE DATABASE {NAME} OWNER {ROLE}")
    if owner is not None and owner[0] != ROLE:
        with psycopg.connect(host=str(socket_folder(path)), user=NAME, dbname=NAME) as connection:
            change_owner(connection)


# Everything in the schema that the superuser owns, as ALTER takes it. Left out: members of extensions, sequences of
# columns and types of tables, which follow theirs. REASSIGN OWNED refuses the role that initdb created.
OWNED_BY_SUPERUSER = """
    SELECT 'pg_class'::regclass, oid, format('TABLE %I.%I', relnamespace::regnamespace, relname) FROM pg_class
    WHERE relkind IN ('r', 'p', 'v', 'm') AND relowner = 10
    UNION ALL
    SELECT 'pg_class'::regclass, oid, format('SEQUENCE %I.%I', relnamespace::regnamespace, relname) FROM pg_class
    WHERE relkind = 'S' AND relowner = 10 AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype IN ('a', 'i')
    )
    UNION ALL
    SELECT 'pg_proc'::regclass, oid, format('ROUTINE %s', oid::regprocedure) FROM pg_proc WHERE proowner = 10
    UNION ALL
    SELECT 'pg_type'::regclass, oid, format('TYPE %s', oid::regtype) FROM pg_type
    WHERE typtype IN ('e', 'd') AND typowner = 10
"""


def change_owner(connection: "psycopg.Connection[Any]") -> None:
    """Give the database and all objects in its schemas to the application's role, in one transaction."""
    found = connection.execute(
        f"""
        SELECT found.name FROM ({OWNED_BY_SUPERUSER}) AS found (class, oid, name)
        WHERE found.oid >= 16384 AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = found.class AND objid = found.oid AND deptype = 'e'
        )
        """
    ).fetchall()
    for (name,) in found:
        connection.execute(f"ALTER {name} OWNER TO {ROLE}")
    connection.execute(f"ALTER DATABASE {NAME} OWNER TO {ROLE}")


# -- stopping and sharing


def stop(server: Server) -> None:
    """Stop PostgreSQL with its fast shutdown: open transactions are rolled back, committed ones are on disk."""
    for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 2), (signal.SIGKILL, 2)):
        if not server.alive():
            return
        try:
            os.kill(server.pid, number)
        except ProcessLookupError:
            return
        until = time.monotonic() + seconds
        while server.alive() and time.monotonic() < until:
            time.sleep(0.02)


@contextmanager
def running(path: Path, *, thrown_away: bool = False) -> Iterator[Server]:
    """Keep the database running during the block: uses the running server, or starts one.

    The last user stops it, so a command never stops the database while another one uses it.
    """
    folder_with_owner(path)
    with in_use(path) as is_last_user:
        server = start(path, die_with_parent=False, thrown_away=thrown_away)
        try:
            yield server
        finally:
            if is_last_user():
                stop(server)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Allow one start at a time, with a lock on the folder. The kernel releases it when the process ends."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def in_use(path: Path) -> Iterator[Callable[[], bool]]:
    """Mark the database as used, with a shared lock on DATA_DIR; yields a function: is this the last user?"""
    handle = mark_as_used(path)

    def is_last_user() -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    try:
        yield is_last_user
    finally:
        os.close(handle)


def mark_as_used(path: Path) -> int:
    """Returns the file handle with a shared lock on DATA_DIR; the database is used until it is closed."""
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle
