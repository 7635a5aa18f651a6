"""The environment of the measurements: a PostgreSQL server, a receiver, a dispatcher, and a meter."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def bench_database() -> Iterator[None]:
    """Runs a database in a temporary folder, as durable as a real one, and sets Django up on it."""
    folder = Path(tempfile.mkdtemp(prefix="chatapi-bench-"))
    os.environ |= {
        "DATA_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "chatapi.settings",
        "LOG_LEVEL": "ERROR",
    }
    os.environ.pop("DATABASE_URL", None)
    from chatapi.runtime.postgres import server as postgres_server

    try:
        with postgres_server.running(folder / "pg"):
            import django

            django.setup()
            from django.core.management import call_command
            from django.db import connections

            call_command("migrate", verbosity=0)
            give_rights()
            yield
            connections.close_all()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def give_rights() -> None:
    """Let the product's role execute CHECKPOINT before each round, and create the peer's database."""
    import psycopg
    from django.db import connection

    from chatapi.runtime.postgres.discovery import NAME, ROLE

    with psycopg.connect(**connection.get_connection_params() | {"user": NAME}, autocommit=True) as superuser:
        superuser.execute(f"GRANT pg_checkpoint TO {ROLE}")
        superuser.execute(f"ALTER ROLE {ROLE} CREATEDB")


class Receiver:
    """`with Receiver() as receiver:` runs tests/bench/receiver.py as a process; `delay` in ms."""

    def __init__(self, delay: float = 0.0) -> None:
        command = [sys.executable, "-m", "tests.bench.receiver", "--delay", str(delay)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"
        self.pid = self.process.pid
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, what: str) -> Any:
        """Returns the response to GET /counts, /arrivals or /reset."""
        with self.opener.open(f"{self.url}/{what}", timeout=30) as response:
            return json.load(response)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait()


@contextlib.contextmanager
def dispatcher() -> Iterator[subprocess.Popen[bytes]]:
    """Runs `manage.py dispatch`, and stops it with SIGTERM."""
    process = subprocess.Popen([sys.executable, "manage.py", "dispatch"], cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


class Meter:
    """Measures the CPU seconds of processes and their children, and the peak memory of the senders.

    Memory is the sum of PSS: a page that several processes share counts once.
    """

    def __init__(self, senders: list[int], others: list[int]) -> None:
        self.senders, self.others = senders, others
        self.peak = 0.0  # MB
        self.ended = threading.Event()

    def __enter__(self) -> Self:
        self.before = cpu_seconds([*self.senders, *self.others])
        self.sampler = threading.Thread(target=self.sample, daemon=True)
        self.sampler.start()
        return self

    def sample(self) -> None:
        while not self.ended.wait(0.25):
            self.peak = max(self.peak, memory(self.senders))

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cpu = cpu_seconds([*self.senders, *self.others]) - self.before
        self.ended.set()
        self.sampler.join()
        self.peak = max(self.peak, memory(self.senders))


def process_trees(pids: list[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            yield process
            yield from process.children(recursive=True)


def cpu_seconds(pids: list[int]) -> float:
    total = 0.0
    for process in process_trees(pids):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
            if process.pid in pids:  # and those of its children that have ended
                total += times.children_user + times.children_system
    return total


def memory(pids: list[int]) -> float:
    total = 0
    for process in process_trees(pids):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss
    return total / 1e6


def resident_peak(pid: int) -> float:
    """Returns the peak resident memory of a process in MB, shared pages included (VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def postgres_pid() -> int:
    return int((Path(os.environ["DATA_DIR"]) / "pg" / "data" / "postmaster.pid").read_text().split()[0])


def empty() -> None:
    """Deletes all hooks and load-test instances, so every measurement starts with the same small tables."""
    from django.db import connection

    from instances.actions.load_test import remove_load_test

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE hooks_hook, hooks_attempt, hooks_minutecount, hooks_emittedcount CASCADE")
        cursor.execute("UPDATE hooks_tally SET emitted = 0, dropped = 0")
    remove_load_test()
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")


def wait_for(
    condition: Callable[[], object],
    what: str,
    seconds: float = 120,
    process: subprocess.Popen[bytes] | None = None,
) -> None:
    """Waits until `condition` is true. Raises RuntimeError after `seconds`, or if the process ends before."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"not true after {seconds:.0f} s: {what}")
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the process ended before: {what}")
        time.sleep(0.02)
