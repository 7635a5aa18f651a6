"""Checks that the database's advisory locks exclude each other: every worker slot and every lane relies on them."""

from __future__ import annotations

import secrets
from typing import Any

import psycopg
from django.db import connections


def find_advisory_lock_problem() -> str | None:
    """Returns what is wrong with the database's advisory locks; None if two sessions exclude each other.

    CockroachDB answers true to every session. A pooler that pools by transaction gives two clients the same session.

    Raises:
        psycopg.OperationalError: the database cannot be reached.
    """
    params = connections["default"].get_connection_params()
    params.pop("cursor_factory", None)
    key = secrets.randbits(62)
    with connect(params) as first, connect(params) as second:
        if try_lock(first, key) and not try_lock(second, key):
            return None
        if is_one_server_session(first, second):
            return (
                "a connection pooler in front of the database pools by transaction, so advisory locks and LISTEN have "
                "no effect, and each hook would be sent several times"
            )
        row = first.execute("SELECT version()").fetchone()
    server = str(row[0]).split(" (")[0].split(" on ")[0] if row else "its version is unknown"
    return (
        f"advisory locks have no effect in this database ({server}), so each hook would be sent several times"
    )


def connect(params: dict[str, Any]) -> psycopg.Connection[Any]:
    return psycopg.connect(**params, autocommit=True)


def try_lock(session: psycopg.Connection[Any], key: int) -> bool:
    row = session.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone()
    return bool(row and row[0])


def is_one_server_session(*sessions: psycopg.Connection[Any]) -> bool:
    """Returns whether the same process of PostgreSQL serves all of these clients' sessions."""
    pids = {session.execute("SELECT pg_backend_pid()").fetchone() for session in sessions}
    return len(pids) == 1
