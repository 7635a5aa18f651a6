"""Runs Python code on a product's data in one process that stays, as `manage.py shell -c` does in a new one.

A new process takes two seconds of CPU time before it runs the code. The process is that of the environment used last:
it ends with the tests, or when another one is used. It has no session with the database between two calls, so the
database can be stopped and killed.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Reads a line of JSON for each call, and writes one: what the code printed, and its traceback or "".
LOOP = """
import contextlib, io, json, sys, traceback
import django
django.setup()
from django.db import connections
from chatapi.runtime.postgres.for_command import database_for
from hooks.wakeups import notifier
results, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    printed, fault = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(printed), database_for(["shell"]):
            exec(json.loads(line), {"__name__": "__main__"})
    except SystemExit as end:
        fault = f"SystemExit: {end.code}" if end.code else ""
    except Exception:
        fault = traceback.format_exc()
    notifier.close()
    connections.close_all()
    print(json.dumps([printed.getvalue(), fault]), file=results, flush=True)
"""


class Shell:
    """The process of one environment."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = dict(environment)
        self.process = subprocess.Popen(
            [sys.executable, "-c", LOOP], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env={"DJANGO_SETTINGS_MODULE": "chatapi.settings"} | environment,
        )  # fmt: skip

    def run(self, code: str) -> tuple[str, str]:
        """Returns what the code printed, and its traceback, or "" if it raised nothing."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the process ended with {self.process.wait()}"
        printed, fault = json.loads(line)
        return printed, fault

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


_last: Shell | None = None


def shell(environment: dict[str, str], code: str) -> str:
    """Returns what the code printed; raises AssertionError with its traceback."""
    global _last
    if _last is None or _last.environment != environment or _last.process.poll() is not None:
        end()
        _last = Shell(environment)
    try:
        printed, fault = _last.run(code)
    except BaseException:  # such as the test's time limit: the next call must not read the result of this one
        end()
        raise
    assert not fault, f"{printed}\n{fault}"
    return printed


@atexit.register
def end() -> None:
    global _last
    if _last is not None:
        with contextlib.suppress(BrokenPipeError):
            _last.end()
        _last = None
