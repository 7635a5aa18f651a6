"""Calls in parallel threads, each with its own database connection."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

import psycopg
from django.db import connection

T = TypeVar("T")


def plain_session() -> psycopg.Connection[Any]:
    """Returns a session of psycopg's own, beside Django's."""
    parameters = connection.get_connection_params() | {"cursor_factory": None}
    return psycopg.connect(**{name: value for name, value in parameters.items() if value is not None})


def results_in_threads(work: Callable[[int], T], count: int) -> list[T]:
    """Returns the results of `work(0)` … `work(count - 1)`, which start together; raises the first exception."""
    together = Barrier(count)

    def run(number: int) -> T:
        try:
            together.wait(30)
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return [done.result() for done in [threads.submit(run, number) for number in range(count)]]


def wait_until_a_session_waits(session: psycopg.Connection[Any]) -> None:
    """Returns as soon as another session waits for a lock that this one has.

    Asks pg_locks: of pg_stat_activity a transaction keeps its first look, which may be older than the other session.
    """
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    )
    until = time.monotonic() + 30
    while not (session.execute(waiting).fetchone() or [0])[0]:
        assert time.monotonic() < until, "no session waits for the lock"
        time.sleep(0.01)
