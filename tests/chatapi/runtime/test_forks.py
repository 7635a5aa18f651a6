"""`in_fork`: what its caller gets, and what a user reads if a start is stopped or killed in the middle of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from chatapi.runtime.prepare import MIGRATION_LOCK
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import READY_SECONDS, ROOT, Product, database_url

pytestmark = pytest.mark.timeout(2 * READY_SECONDS)

PROGRAM = """
import os, signal
from chatapi.runtime.processes import in_fork

class Needs(Exception):
    def __init__(self, one, two):
        super().__init__(one + two)

def raise_deep():
    raise Needs("the ", "reason")
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=READY_SECONDS,
    )


def test_an_error_brings_the_traceback_of_the_fork() -> None:
    done = run("in_fork(lambda: [][1])")
    assert done.stderr.rstrip().splitlines()[-1] == "IndexError: list index out of range"
    assert "in run_and_send" in done.stderr


def test_an_error_that_cannot_be_sent_is_told_as_text() -> None:
    done = run("in_fork(raise_deep)")
    assert "Needs: the reason" in done.stderr and "in raise_deep" in done.stderr
    assert "missing 1 required positional argument" not in done.stderr


def test_signals_are_for_the_process_that_waits() -> None:
    """A terminal's Ctrl-C and the SIGTERM of a service manager reach both processes."""
    done = run(
        "def work():\n"
        "    for number in (signal.SIGINT, signal.SIGTERM):\n"
        "        os.kill(os.getpid(), number)\n"
        "    return 'done'\n"
        "print(in_fork(work), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,\n"
        "      signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done True set()\n", "")


def test_a_fork_for_a_function_ends_as_a_program_does() -> None:
    done = run(
        "import atexit, sys\n"
        "from chatapi.runtime.processes import Fork\n"
        "sys.excepthook = lambda kind, *_: print('logged', kind.__name__)\n"
        "def begin(end):\n"
        "    atexit.register(print, 'exit function')\n"
        "    print(os.getsid(0) == os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, []))\n"
        "    end()\n"
        "for end in (lambda: None, lambda: sys.exit(3), raise_deep):\n"
        "    print(Fork('test', lambda end=end: begin(end)).wait(), flush=True)\n"
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        *("True set()", "exit function", "0"),
        *("True set()", "exit function", "3"),
        *("True set()", "logged Needs", "exit function", "1"),
    ]


@contextmanager
def waiting_start(folder: Path) -> Iterator[tuple[Product, psutil.Process]]:
    """A start, and its fork, which waits for the process that prepares the same database."""
    product = Product(folder, DATABASE_URL=database_url(), RUN_AS_USER="root")
    with psycopg.connect(database_url(), autocommit=True) as first:
        first.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        product.start()
        assert product.process
        top = psutil.Process(product.process.pid)

        def waiting() -> list[psutil.Process]:
            """The fork, once it has asked for the lock. Another session may have asked for it before."""
            asked = "SELECT 1 FROM pg_stat_activity WHERE starts_with(query, 'SELECT pg_try_advisory_lock')"
            return top.children() if first.execute(asked).fetchone() else []

        try:
            [fork] = wait_until(waiting, "the start waits for the lock", READY_SECONDS)
            yield product, fork
        finally:
            product.stop(signal.SIGKILL)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("whom", ["the whole group", "the start alone"])
def test_a_signal_during_the_preparation_stops_the_start(
    number: signal.Signals, whom: str, tmp_path: Path
) -> None:
    with waiting_start(tmp_path) as (product, fork):
        assert product.process
        (os.killpg if whom == "the whole group" else os.kill)(product.process.pid, number)
        assert product.process.wait(READY_SECONDS) == 0
        assert not fork.is_running()
        product.wait_for("Stopped.")
        assert [line for line in product.lines if not line.startswith("Warning: ")] == ["Stopped."]


@pytest.mark.django_db(transaction=True)
def test_a_killed_preparation_is_one_sentence(tmp_path: Path) -> None:
    with waiting_start(tmp_path) as (product, fork):
        assert product.process
        fork.kill()
        assert product.process.wait(READY_SECONDS) == 1
        product.wait_for("CommandError: ")
        [sentence] = [line for line in product.lines if not line.startswith("Warning: ")]
        assert sentence == (
            "CommandError: A process of the start was killed (signal 9). "
            "If it was the kernel (`dmesg`), the machine has too little memory."
        )
