"""The real product as a process: `manage.py up` with its own folder and port; starts, queries, kills and stops it.

A first start creates a database, applies all migrations and compresses the static files. In the tests this happens once
for a run: the folders of other products are copies of a folder that was started and stopped.
"""

import contextlib
import fcntl
import json
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import quote

import psutil
import requests

from chatapi.runtime.standby_process import NAME as STANDBY

ROOT = Path(__file__).resolve().parent.parent
FORK = "chatapi-"  # the names of forks begin with it
RESTART_SECONDS = 120  # a part that ended is started again after 10 s at most, and loads the program
READY_SECONDS = 180  # the first start on two busy cores creates the database and collects the static files
STOP_SECONDS = 60  # `up` takes 25 at most, on an idle machine
# With one of these, a folder that was started without it cannot be used.
OWN_DATA = ("DATABASE_URL", "RUN_AS_USER", "SECRETS_KEY", "SECRETS_KEY_FILE")


class Product:
    """`manage.py up` as a child process. `with Product(folder) as product:` waits for "Ready" and ends with SIGTERM.

    url       "http://127.0.0.1:<port>"
    demo      what `manage.py demo --json` prints: site, email, password, uid, instances [{id, token, apiUrl}]
    lines     all lines that it printed, oldest first
    """

    # Where `prepared` keeps its folders, for all processes of the run. tests/conftest.py sets it.
    prepared_in: ClassVar[Path | None] = None

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        python: Sequence[str] = (sys.executable,),
        program: str = "manage.py",
        folder: Path = ROOT,
        **environment: str,
    ) -> None:
        """`python` is the start of the command line, up to the arguments of Python; `program` runs in `folder`."""
        self.data_dir = data_dir
        self.python, self.program, self.folder = python, program, folder
        self.is_copied = folder == ROOT and not any(name in environment for name in OWN_DATA)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = product_environment(data_dir, PORT=str(self.port), **environment)
        self.lines: list[str] = []
        self.printed: queue.Queue[str | None] = queue.Queue()
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Product":
        self.start()
        self.wait_for(f"Ready: http://localhost:{self.port}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        if Product.prepared_in and self.is_copied and not was_started(self.data_dir):
            copy_data(prepared("product", first_start), self.data_dir)
        self.process = subprocess.Popen(
            [*self.python, self.program, "up"], cwd=self.folder, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.printed = queue.Queue()  # a second start after a kill must not read the end of the first
        self.reader = threading.Thread(target=self.read, args=(self.process, self.printed), daemon=True)
        self.reader.start()

    def read(self, process: "subprocess.Popen[str]", printed: "queue.Queue[str | None]") -> None:
        assert process.stdout
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))
            printed.put(line.rstrip("\n"))
        printed.put(None)

    def wait_for(self, text: str, seconds: float = READY_SECONDS) -> str:
        """Returns the next printed line that contains `text`."""
        until = time.monotonic() + seconds
        while True:
            try:
                line = self.printed.get(timeout=max(0.1, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{text!r} was not printed:\n" + "\n".join(self.lines[-40:])) from None
            if line is None:
                raise AssertionError(
                    f"The product ended before it printed {text!r}:\n" + "\n".join(self.lines[-40:])
                )
            if text in line:
                return line

    def discard_printed(self) -> None:
        """Makes wait_for() read only what is printed from now on."""
        with contextlib.suppress(queue.Empty):
            while self.printed.get_nowait() is not None:
                pass
            self.printed.put(None)  # it has ended

    @property
    def demo(self) -> dict[str, Any]:
        return json.loads((self.data_dir / "demo.json").read_text())

    def manage(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Runs a manage.py command on the same data."""
        return manage(*words, environment=self.environment)

    def processes(self) -> "list[psutil.Process]":
        """Returns `up` and all its descendants, including those of the database."""
        assert self.process
        try:
            top = psutil.Process(self.process.pid)
            return [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def part(self, *words: str) -> "psutil.Process":
        """Returns the first process whose command line contains all the words, such as ("manage.py", "worker").

        Forks have the command line of their parent, and are left out. A part that was killed is waited for: `up`
        restarts it after a pause, and meanwhile the standby process does what the worker did.
        """

        def is_wanted(process: psutil.Process) -> bool:
            return all(word in process.cmdline() for word in words) and not process.name().startswith(FORK)

        return self.first(self.processes, is_wanted, " ".join(words))

    def standby(self) -> "psutil.Process":
        """Returns the standby process, a fork of the worker and a child of `up`."""
        return self.first(self.processes, lambda process: process.name() == STANDBY, "the standby process")

    def cluster(self) -> "psutil.Process":
        """Returns the main process of django-q2's cluster."""
        return self.fork_of_worker("chatapi-cluster")

    def fork_of_worker(self, name: str) -> "psutil.Process":
        """Returns the worker's child of this name. A worker that was just started is waited for until it has it."""
        return self.first(
            lambda: self.part("manage.py", "worker").children(), lambda process: process.name() == name, name
        )

    def first(
        self,
        processes: "Callable[[], list[psutil.Process]]",
        is_wanted: "Callable[[psutil.Process], bool]",
        what: str,
    ) -> "psutil.Process":
        """Returns the first process that is wanted; waits until there is one."""
        until = time.monotonic() + RESTART_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(psutil.NoSuchProcess):  # one ended after it was listed
                for process in processes():
                    if is_wanted(process):
                        return process
            time.sleep(0.05)
        raise AssertionError(f"No such process runs: {what}\n" + "\n".join(self.lines[-40:]))

    def restart_worker(self) -> None:
        """Restarts the worker and discards what it printed before."""
        worker = self.part("manage.py", "worker")
        self.discard_printed()  # an earlier kill has printed the same
        worker.kill()
        self.wait_for("The worker was killed (signal 9); restarting")

    def wait_for_ready(self, seconds: float = READY_SECONDS) -> None:
        """Waits until /readyz responds with 200."""
        until, said = time.monotonic() + seconds, ""
        while time.monotonic() < until:
            try:
                answer = requests.get(f"{self.url}/readyz", timeout=5)
                if answer.status_code == 200:
                    return
                said = answer.text
            except requests.RequestException as error:
                said = str(error)
            time.sleep(0.1)
        raise AssertionError(f"Not ready: {said}\n" + "\n".join(self.lines[-40:]))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends the signal and waits; returns the exit code. Kills the processes that are left then.

        `lines` is complete then.
        """
        assert self.process
        family = self.processes()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            for process in still_running(family, 3):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self.reader.join(60)


def still_running(processes: "list[psutil.Process]", seconds: float = STOP_SECONDS) -> "list[psutil.Process]":
    """Returns the processes that have not ended after so many seconds.

    A zombie has ended: if `up` has too, it is the first process of the machine that takes its exit code, at some time.
    """
    until = time.monotonic() + seconds
    while (left := [process for process in processes if is_alive(process)]) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def is_alive(process: "psutil.Process") -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def was_started(data_dir: Path) -> bool:
    return any((data_dir / name).exists() for name in ("pg", "secret_key", "secrets_key"))


def first_start(data_dir: Path) -> None:
    """Starts the product in a new folder, and stops it."""
    product = Product(data_dir)
    product.is_copied = False
    with product:
        pass


def prepared(name: str, create: Callable[[Path], None]) -> Path:
    """Returns the folder of this name, to be copied; it is created if no process of the run has done that yet."""
    assert Product.prepared_in
    folder, new = Product.prepared_in / name, Product.prepared_in / f"new-{name}"
    with open(Product.prepared_in / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            create(new)
            new.rename(folder)
    return folder


def copy_data(source: Path, data_dir: Path) -> None:
    """Copies what the product has written, with its owners and modes, without the log of the database."""
    data_dir.mkdir(parents=True, exist_ok=True)
    entries = [path for path in source.iterdir() if path.name != "pg.log"]
    subprocess.run(["cp", "-a", *entries, data_dir], check=True)


def product_environment(data_dir: Path, **more: str) -> dict[str, str]:
    """Returns the environment of a real run, without the settings of the tests or of the developer."""
    keep = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
        if name in os.environ
    }
    own = {
        "DATA_DIR": str(data_dir),
        "PYTHONUNBUFFERED": "1",
        # whatever is free on the disk of the developer
        "DISK_MIN_FREE_BYTES": "0",
        "DISK_MIN_FREE_PERCENT": "0",
    }
    return keep | own | more


def manage(*words: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=environment, text=True,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=READY_SECONDS,
    )  # fmt: skip


_returned_ports: set[int] = set()


def free_port() -> int:
    """Returns a port on which nothing listens, from a range that no one else takes ports from.

    The system gives ports from 32768 on to connections and to servers that name none; each worker has its own range
    below. A port of theirs could be taken before the caller uses it. No port is returned twice before all were: the
    first caller may use it later, or rely on it that nothing listens there.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    begin = 12_000 + 2_000 * (worker % 10)
    ports = random.SystemRandom().sample(range(begin, begin + 2_000), 2_000)
    for port in sorted(ports, key=_returned_ports.__contains__):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            _returned_ports.add(port)
            return port
    raise AssertionError("No port is free.")


def database_url() -> str:
    """Returns the DATABASE_URL of the test database, for processes that read rows committed by a test."""
    from django.db import connection

    settings = connection.settings_dict
    return f"postgresql:///{settings['NAME']}?host={quote(settings['HOST'], safe='')}&user={settings['USER']}"
