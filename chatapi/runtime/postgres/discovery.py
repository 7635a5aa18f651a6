"""Which PostgreSQL, if any, runs on a data folder now: the one of an earlier start, its leftovers, a stale pid file.

Processes are known by what every user may read (name and command line): in a container root may not look up
another user's working folder.
"""

import hashlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from chatapi.runtime.postgres.system_user import PostgresError

NAME = "chatapi"  # of the database and of the role that owns it
LONGEST_SOCKET = 107  # bytes of a Unix socket's path that Linux takes
START_SECONDS = 60  # a start after a crash first replays its log


@dataclass
class Server:
    """A running PostgreSQL: its main process, and whether that is a child of ours or was found running."""

    path: Path
    pid: int
    process: subprocess.Popen[bytes] | None = None  # None: adopted

    def alive(self) -> bool:
        return self.process.poll() is None if self.process else postmaster(self.path) == self.pid


def tag(path: Path) -> str:
    """The name that PostgreSQL's processes carry in their titles: one for each data folder."""
    return f"chatapi-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"


def socket_folder(path: Path) -> Path:
    """Beside the data, or where that is too long for a socket, a short folder named after it."""
    folder = path / "socket"
    if len(os.fsencode(folder / ".s.PGSQL.5432")) <= LONGEST_SOCKET:
        return folder
    return Path("/tmp") / tag(path)  # its owner and mode are checked before use


def pid_files(path: Path) -> list[Path]:
    """PostgreSQL's own, for the data and for the socket; the first line is its main process's pid."""
    return [path / "data" / "postmaster.pid", socket_folder(path) / ".s.PGSQL.5432.lock"]


def written_pid(file: Path) -> int | None:
    """What a pid file says, be it true or stale."""
    try:
        return int(file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def postmaster(path: Path) -> int | None:
    """The main process that runs on the data now; None when there is none."""
    pid = written_pid(pid_files(path)[0])
    return pid if pid and command_line(pid)[1:3] == ["-D", str(path / "data")] else None


def command_line(pid: int) -> list[str]:
    """A PostgreSQL process's words; of any other process, of none and of a dead one not yet reaped: []."""
    import psutil

    try:
        process = psutil.Process(pid)
        return process.cmdline() if process.name() == "postgres" else []
    except psutil.Error:
        return []


def leftovers(path: Path) -> list[int]:
    """The processes of a server whose main process was killed: they end by themselves in a moment."""
    import psutil

    title = f"postgres: {tag(path)}: "
    return [pid for pid in psutil.pids() if (command_line(pid) or [""])[0].startswith(title)]


def answers(path: Path) -> bool:
    """Whether a connection to it works now."""
    return connection_fault(path) is None


def connection_fault(path: Path) -> str | None:
    """Why no connection can be made now, in PostgreSQL's words; None when one can."""
    import psycopg

    try:
        with psycopg.connect(host=str(socket_folder(path)), user=NAME, dbname="postgres", connect_timeout=5):
            return None
    except psycopg.OperationalError as error:
        return str(error).strip()


def adopted(path: Path) -> Server | None:
    """The server of an earlier start, if one still runs on the data and answers; one that is ending is waited for.

    None: no server uses the data. No process of an earlier server is left, and no stale pid file in the way.
    """
    import psutil

    began = time.monotonic()
    asked_to_end = False
    while pid := postmaster(path):
        if answers(path):
            return Server(path, pid)
        waited = time.monotonic() - began
        if waited > START_SECONDS / 2 and not asked_to_end:
            os.kill(pid, signal.SIGINT)  # it had its time to start or to end, and does neither
            asked_to_end = True
        if waited > START_SECONDS:
            raise PostgresError(
                f"A PostgreSQL of an earlier start (process {pid}) still holds {path} and does not answer; end it "
                f"with: kill -QUIT {pid}."
            )
        time.sleep(0.1)
    if any(file.exists() for file in pid_files(path)):
        # A second server beside such leftovers would destroy the data.
        while left := leftovers(path):
            if time.monotonic() - began > START_SECONDS:
                raise PostgresError(
                    f"Processes of an earlier PostgreSQL still hold {path}; end them: kill {left}."
                )
            time.sleep(0.1)
    for file in pid_files(path):
        pid = written_pid(file)
        if pid and psutil.pid_exists(pid) and not command_line(pid):
            # The number is another process's by now (usual in containers), or a zombie's;
            # PostgreSQL would take it for a server that runs. What is just dead it clears away by itself.
            file.unlink(missing_ok=True)
    return None
