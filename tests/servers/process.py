"""A real server as a process of the tests: starts it, waits until it responds, and ends it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

# It ends with the tests, also if they are killed (Linux).
DIE_WITH_TESTS = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


class ServerProcess:
    """`with Server(folder) as server:` starts it. Subclasses have `name`, `start_seconds`, `command` and `responds`."""

    name: ClassVar[str]
    start_seconds: ClassVar[float]  # after which it has not started: long, for busy machines

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def responds(self) -> bool:
        raise NotImplementedError

    @property
    def log(self) -> Path:
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it responds."""
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                self.command(), cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            self.wait_until_it_responds(self.process)
        except BaseException:
            self.kill()
            raise

    def wait_until_it_responds(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + self.start_seconds
        while not self.responds():
            assert process.poll() is None, f"{self.name} ended:\n{self.output()}"
            assert time.monotonic() < until, f"{self.name} does not respond:\n{self.output()}"
            time.sleep(0.05)

    def output(self) -> str:
        """Returns the end of what it has printed and logged."""
        files = [self.folder / "output", self.log]
        return "\n".join(file.read_text(errors="replace")[-3000:] for file in files if file.exists())

    def kill(self) -> None:
        """End it at once, as a power failure does."""
        self.end_with(signal.SIGKILL)

    def stop(self) -> None:
        """Shut it down."""
        self.end_with(signal.SIGTERM)

    def end_with(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
