"""The threads that use the database for a loop that sends."""

from __future__ import annotations

import time
from types import SimpleNamespace

import psycopg
import pytest

from hooks.dispatch.threads import DatabaseThread
from hooks.dispatch.wakeup_pipe import WakeupPipe


class Away(DatabaseThread):
    """A thread whose database is away: the first job and the first attempts to connect fail."""

    def __init__(self, attempts: int) -> None:
        super().__init__("away", WakeupPipe())
        self.attempts = attempts
        self.runs = 0

    def reconnect(self) -> None:
        self.attempts -= 1
        if self.attempts:
            raise psycopg.OperationalError("connection refused")

    def job(self) -> None:
        self.runs += 1
        if self.runs == 1:
            raise psycopg.OperationalError("terminating connection")


def test_a_database_that_is_back_is_noticed_within_a_quarter_of_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long it was away: a failover takes seconds, in which pauses that double had become as long."""
    pauses: list[float] = []
    monkeypatch.setattr(
        "hooks.dispatch.threads.time", SimpleNamespace(sleep=pauses.append, monotonic=time.monotonic)
    )
    thread = Away(attempts=20)
    thread.start()
    thread.submit(thread.job)
    thread.end()
    assert thread.runs == 2
    assert pauses == [0.1, 0.2] + [0.25] * 18
