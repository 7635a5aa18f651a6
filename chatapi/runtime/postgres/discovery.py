"""Finds the PostgreSQL of an earlier start that runs on a data folder, its remaining processes, or a stale pid file.

Processes are recognized by what every user may read (name and command line): in a container, root may not read
another user's working folder.
"""

import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from chatapi.runtime.postgres.system_user import PostgresError
from chatapi.runtime.processes import ForkEnded, in_fork

T = TypeVar("T")

NAME = "chatapi"  # of the database and of the superuser, whom initdb creates; no part of the product connects as it
ROLE = "chatapi_app"  # the application's role: owns the database, and is no superuser
MAX_SOCKET_PATH = 107  # bytes of a Unix socket's path on Linux
START_SECONDS = 60  # a start after a crash first replays its log


class Child(Protocol):
    """A child process: subprocess.Popen, or one that was started before this program was loaded."""

    def poll(self) -> int | None: ...


@dataclass
class Server:
    """A running PostgreSQL: its main process, which is our child or was found running."""

    path: Path
    pid: int
    process: Child | None = None  # None: found running

    def alive(self) -> bool:
        return self.process.poll() is None if self.process else postmaster(self.path) == self.pid


def tag(path: Path) -> str:
    """The cluster name in the titles of PostgreSQL's processes; unique for each data folder."""
    return f"chatapi-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"


def socket_folder(path: Path) -> Path:
    """Beside the data; if that path is too long for a socket, a short folder in /tmp."""
    folder = path / "socket"
    if len(os.fsencode(folder / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH:
        return folder
    return Path("/tmp") / tag(path)  # its owner and mode are checked before use


def pid_files(path: Path) -> list[Path]:
    """PostgreSQL's own, for the data and for the socket; the first line is its main process's pid."""
    return [path / "data" / "postmaster.pid", socket_folder(path) / ".s.PGSQL.5432.lock"]


def read_pid(file: Path) -> int | None:
    """The pid in a pid file, current or stale; None without one."""
    try:
        return int(file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def postmaster(path: Path) -> int | None:
    """The pid of the main process that runs on the data, by whichever name of the folder it was started.

    None without one.
    """
    pid = read_pid(pid_files(path)[0])
    found = command_line(pid)[1:3] if pid else []
    is_on_data = found[:1] == ["-D"] and os.path.realpath(found[-1]) == os.path.realpath(path / "data")
    return pid if is_on_data else None


def command_line(pid: int) -> list[str]:
    """The arguments of a PostgreSQL process; [] for any other process, none, and a zombie."""
    import psutil

    try:
        process = psutil.Process(pid)
        return process.cmdline() if process.name() == "postgres" else []
    except psutil.Error:
        return []


def remaining_processes(path: Path) -> list[int]:
    """Pids of a server whose main process was killed; they end within a moment."""
    import psutil

    title = f"postgres: {tag(path)}: "
    return [pid for pid in psutil.pids() if (command_line(pid) or [""])[0].startswith(title)]


def with_driver(function: Callable[[], T]) -> T:
    """Returns what the function returns, which loads the database driver.

    In the supervisor of `manage.py up`, which runs without Django and has one thread, it runs in a fork: there the
    driver would keep 12 MB until the end.

    Raises:
        PostgresError: the fork was killed.
    """
    if "django" in sys.modules:
        return function()
    try:
        return in_fork(function)
    except ForkEnded as error:
        raise PostgresError(str(error)) from error


def accepts_connections(path: Path) -> bool:
    return connection_fault(path) is None


def connection_fault(path: Path) -> str | None:
    """PostgreSQL's message if no connection can be made; None if one can."""
    return with_driver(lambda: _connection_fault(path))


def _connection_fault(path: Path) -> str | None:
    import psycopg

    try:
        with psycopg.connect(host=str(socket_folder(path)), user=NAME, dbname="postgres", connect_timeout=5):
            return None
    except psycopg.OperationalError as error:
        return str(error).strip()


def find_running_server(path: Path) -> Server | None:
    """The server of an earlier start that still runs on the data; waits for one that is stopping.

    If it returns None, no process of an earlier server and no stale pid file are left.

    Raises:
        PostgresError: an earlier server neither accepts connections nor ends within START_SECONDS.
    """
    import psutil

    started = time.monotonic()
    interrupted = False
    while pid := postmaster(path):
        if accepts_connections(path):
            return Server(path, pid)
        waited = time.monotonic() - started
        if waited > START_SECONDS / 2 and not interrupted:
            os.kill(pid, signal.SIGINT)  # it neither starts nor stops
            interrupted = True
        if waited > START_SECONDS:
            raise PostgresError(
                f"A PostgreSQL of an earlier start (process {pid}) still uses {path} and does not accept connections; "
                f"stop it with: kill -QUIT {pid}."
            )
        time.sleep(0.1)
    if any(file.exists() for file in pid_files(path)):
        # A second server beside these processes would destroy the data.
        while left := remaining_processes(path):
            if time.monotonic() - started > START_SECONDS:
                raise PostgresError(
                    f"Processes of an earlier PostgreSQL still use {path}; stop them: kill {left}."
                )
            time.sleep(0.1)
    for file in pid_files(path):
        pid = read_pid(file)
        if pid and psutil.pid_exists(pid) and not command_line(pid):
            # The pid now belongs to another process (usual in containers) or to a zombie; PostgreSQL would assume that
            # a server runs. Pid files of ended processes it removes itself.
            file.unlink(missing_ok=True)
    return None
