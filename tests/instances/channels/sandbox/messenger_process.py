"""The sandbox messenger as a process, with its orders and what it has received."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Any

import requests

from tests.product import ROOT


class MessengerProcess:
    """`manage.py sandbox_messenger` on a free port. `with MessengerProcess() as messenger:` waits until it is ready."""

    def __enter__(self) -> MessengerProcess:
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "sandbox_messenger", "--port", "0"],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.startswith("Ready: "), f"it starts: {line!r}"
        self.url = line.removeprefix("Ready: ").strip()
        self.session = requests.Session()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    def order(self, **order: Any) -> None:
        """POST an order; without `instance`, for all."""
        response = self.session.post(f"{self.url}/control", json=order)
        assert response.status_code == 200, response.text

    def received(self, number: int) -> dict[str, Any]:
        """Returns what this instance has sent; empty if nothing."""
        found = self.session.get(f"{self.url}/received", params={"instance": str(number)}).json()
        return dict(found["instances"].get(str(number), {}))

    def reset(self) -> None:
        """End all orders and forget what was received."""
        for path in ("control", "received"):
            assert self.session.delete(f"{self.url}/{path}").status_code == 200
