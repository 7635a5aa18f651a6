"""Notifications, as a session that listens has received them."""

from typing import Any

import psycopg

from hooks.wakeups import notifier

END = "test_end"  # a channel of the tests


def received(session: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Sends what waits, then returns all notifications, in the order of their commits."""
    notifier.close()
    session.execute(f"LISTEN {END}")
    session.execute("SELECT pg_notify(%s, '')", [END])
    found: list[tuple[str, str]] = []
    for note in session.notifies(timeout=60):
        if note.channel == END:
            return found
        found.append((note.channel, note.payload))
    raise AssertionError("the last notification has not arrived in 60 s")
