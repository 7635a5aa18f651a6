"""The real web server and `manage.py receive` on the test database, with the test channels."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import ClassVar

from hooks.models import Runner
from tests.hooks.dispatch.dispatching import Dispatch
from tests.product import free_port

SETTINGS = "tests.instances.receiving.with_channels.settings"


class Receive(Dispatch):
    """`with Receive(tmp_path):` runs one receiver in its own process."""

    command: ClassVar[list[str]] = ["manage.py", "receive"]

    def __init__(self, folder: Path, **environment: str) -> None:
        super().__init__(folder, DJANGO_SETTINGS_MODULE=SETTINGS, **environment)

    @property
    def run_id(self) -> int:
        return int(Runner.objects.get(pid=self.process.pid, finished_at=None).pk)


class Web(Dispatch):
    """`with Web(tmp_path) as web:` runs the web server; `web.url` is its URL."""

    command: ClassVar[list[str]] = ["-m", "chatapi.runtime.web"]

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        own = {"DJANGO_SETTINGS_MODULE": SETTINGS, "PORT": str(self.port), "PYTHONPATH": os.getcwd()}
        super().__init__(folder, **own, **environment)

    def is_at_work(self) -> bool:
        assert self.process.poll() is None, f"the web server ended: {self.output}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
