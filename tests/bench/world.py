"""What the measurements stand on: a PostgreSQL of their own, instances, hooks, a receiver, a dispatcher."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

BODY = 500  # bytes of a hook, about


@contextlib.contextmanager
def world() -> Iterator[None]:
    """A database in a folder that is thrown away, durable like a real one; Django set up on it."""
    folder = Path(tempfile.mkdtemp(prefix="chatapi-bench-"))
    os.environ |= {
        "DATA_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "chatapi.settings",
        "LOG_LEVEL": "WARNING",
    }
    os.environ.pop("DATABASE_URL", None)
    from chatapi import postgres

    try:
        with postgres.running(folder / "pg"):
            import django

            django.setup()
            from django.core.management import call_command
            from django.db import connections

            call_command("migrate", verbosity=0)
            yield
            connections.close_all()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Receiver:
    """tests/bench/receiver.py as a process."""

    def __init__(self, delay: float = 0.0) -> None:
        command = [sys.executable, "-m", "tests.bench.receiver", "--delay", str(delay)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"

    def report(self) -> dict[str, Any]:
        """Stop it: {"came", "inversions", "waits" (ms, sorted)}."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.process.wait()
        return found


def open_instances(count: int, url: str, *, parallel: bool) -> list[int]:
    """`count` instances of one account, their hooks going to `url`/{key}; their keys."""
    from accounts.actions import sign_up
    from hooks.models import Endpoint
    from instances.actions import create_instance

    account = sign_up(f"bench-{time.monotonic_ns()}@example.com", None)
    keys = [create_instance(account).pk for _ in range(count)]
    for key in keys:
        Endpoint.objects.filter(pk=key).update(url=f"{url}/{key}", parallel=parallel)
    return keys


def body(sequence: int) -> bytes:
    message = {"id": f"true_17680561234@c.us_{sequence:020X}", "body": "x" * (BODY - 150), "type": "chat"}
    meta = {"ts_ns": time.time_ns(), "seq_no": sequence}
    return json.dumps({"messages": [message | {"metadata": meta}], "instanceId": "1"}).encode()


def fill_backlog(keys: list[int], hooks: int) -> None:
    """Write `hooks` queued hooks, spread evenly, as if emitted."""
    from django.db import connection
    from django.db.models import F

    from hooks.models import Hook, Tally

    rows = [
        Hook(endpoint_id=keys[n % len(keys)], kind="message", body=body(n // len(keys))) for n in range(hooks)
    ]
    Hook.objects.bulk_create(rows, batch_size=2000)
    Tally.objects.filter(pk__in=keys).update(emitted=F("emitted") + hooks // len(keys))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE hooks_hook")


@contextlib.contextmanager
def dispatcher() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "manage.py", "dispatch"])
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(*pids: int) -> float:
    """User and system time of these processes and all that they started."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            for one in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = one.cpu_times()
                    total += times.user + times.system
            own = process.cpu_times()
            total += own.children_user + own.children_system
    return total


def postgres_pid() -> int:
    return int((Path(os.environ["DATA_DIR"]) / "pg" / "data" / "postmaster.pid").read_text().split()[0])


def peak_memory(pid: int) -> float:
    """The most a process has ever held, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def count_done(keys: list[int]) -> int:
    from hooks.models import UNFINISHED, Hook

    return Hook.objects.filter(endpoint_id__in=keys).exclude(state__in=UNFINISHED).count()
