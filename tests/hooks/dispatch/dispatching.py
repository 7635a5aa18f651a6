"""Runs the real `manage.py dispatch` on the test database, and waits for its results."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self, TypeVar

from django.conf import settings
from django.db import transaction

from hooks import outbox
from hooks.models import Endpoint, Hook, Kind, Runner
from tests.product import ROOT, database_url, product_environment
from tests.receiver import Answer, Received

STOP_SECONDS = 15  # delivery.md allows 12
T = TypeVar("T")


class Dispatch:
    """`with Dispatch(tmp_path):` runs one dispatcher in its own process, which holds a slot when the block begins.

    The end of the block stops it with SIGTERM; it must exit with code 0.
    """

    command: ClassVar[list[str]] = ["manage.py", "dispatch"]

    def __init__(self, folder: Path, **environment: str) -> None:
        self.environment = (
            product_environment(
                folder,
                DATABASE_URL=database_url(),
                HOOKS_ALLOW_NETWORKS="127.0.0.0/8",
            )
            | {"SECRETS_KEY": ",".join(settings.SECRETS_KEY)}  # as on a second machine
            | environment
        )
        self.process = subprocess.Popen(
            [sys.executable, *self.command],
            cwd=ROOT,
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.output = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.output += line

    def __enter__(self) -> Self:
        wait_until(self.is_at_work, f"the dispatcher starts; output: {self.output}", 60)
        return self

    def is_at_work(self) -> bool:
        assert self.process.poll() is None, f"the dispatcher ended: {self.output}"
        return Runner.objects.filter(pid=self.process.pid, finished_at=None).exists()

    def kill(self) -> None:
        """Kills the process with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Stops the process with SIGTERM, as soon as it handles that; returns its exit code.

        While it loads the program, SIGTERM would end it at once, as any process.
        """
        wait_until(
            lambda: self.process.poll() is not None or self.handles_sigterm(), "it handles SIGTERM", 60
        )
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)

    def handles_sigterm(self) -> bool:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        handled = int(status.split("SigCgt:", 1)[1].split()[0], 16)
        return bool(handled >> (signal.SIGTERM - 1) & 1)

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.process.poll() is None:
                assert self.stop() == 0, self.output
        finally:
            self.process.kill()
            self.process.wait()
            self.reader.join()


def wait_until(true: Callable[[], T], what: str, seconds: float = 120) -> T:
    """Returns the first true value. Raises AssertionError with `what` after `seconds`."""
    until = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < until, f"not true after {seconds} s: {what}"
        time.sleep(0.02)
    return found


def emit(endpoint: Endpoint, n: int = 1, *, kind: Kind = Kind.MESSAGE) -> list[Hook]:
    """Creates hooks with the bodies {"n":0}, {"n":1}, … in one transaction."""
    with transaction.atomic():
        return [
            outbox.emit(instance_id=endpoint.pk, kind=kind, body=b'{"n":%d}' % number) for number in range(n)
        ]


def states(*endpoints: Endpoint) -> set[str]:
    """Returns the states of the endpoints' hooks."""
    return set(Hook.objects.filter(endpoint__in=endpoints).values_list("state", flat=True))


class Held:
    """A response that waits: the first request sets `arrived`, and setting `release` sends it to all of them."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.arrived = threading.Event()
        self.release = threading.Event()

    def __call__(self, received: Received) -> Answer:
        self.arrived.set()
        self.release.wait(60)
        return self.status, {}, b""

    def wait_for_arrival(self, seconds: float = 120) -> None:
        assert self.arrived.wait(seconds), f"no request arrived in {seconds} s"
