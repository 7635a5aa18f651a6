"""Where DATABASE_POOLER_URL leads: to the primary of DATABASE_URL, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from chatapi.runtime.doctor.database import CONNECT_SECONDS, DOES_NOT_RESPOND, explain_refusal, parameters
from chatapi.runtime.doctor.findings import Finding, error

POOLER = "DATABASE_POOLER_URL"
# Whether the server is a standby, since when it runs, and which of its databases this is: another server differs.
PLACE = """
SELECT pg_is_in_recovery(), pg_postmaster_start_time(), oid FROM pg_database WHERE datname = current_database()
"""


def find_unusable_pooler() -> Iterator[Finding]:
    """Without the pooler, web processes do not work. One to another database would divide the site."""
    if not settings.POOLED_DATABASE:
        return
    try:
        pooled = place(parameters_of(settings.POOLED_DATABASE))
    except psycopg.OperationalError as fault:
        yield explain(POOLER, "pooler", str(fault))
        return
    if pooled[0]:
        yield error(
            f"{POOLER}: the pooler leads to a standby, which accepts no writes.",
            "Have the pooler connect to the primary. After a failover, its configuration must follow.",
        )
    elif pooled != place(parameters()):
        yield error(
            f"{POOLER}: the pooler leads to another database than DATABASE_URL.",
            "Correct the host and the database in the pooler's configuration, or one of the two URLs.",
        )


def place(session_parameters: dict[str, Any]) -> tuple[Any, ...]:
    """Returns PLACE. Raises psycopg.OperationalError."""
    with psycopg.connect(**session_parameters) as session:
        row = session.execute(PLACE).fetchone()
    assert row
    return row


def parameters_of(database: dict[str, Any]) -> dict[str, Any]:
    """Returns the parameters of a session at another URL's database, which may be a standby."""
    here = connections.create_connection(DEFAULT_DB_ALIAS)
    here.settings_dict = here.settings_dict | database
    found = here.get_connection_params()
    found.pop("cursor_factory", None)
    return found | {
        "connect_timeout": CONNECT_SECONDS, "autocommit": True, "target_session_attrs": "any"
    }  # fmt: skip


def explain(variable: str, noun: str, said: str) -> Finding:
    """Returns the finding about a refused session at the URL of this variable, which leads to a `noun`."""
    refusal = explain_refusal(said)
    if refusal.problem == DOES_NOT_RESPOND:
        step = f"Check that it is running, that {variable} has its host and port, and no firewall blocks it."
        return error(f"{variable}: the {noun} does not respond.", step, refusal.detail)
    problem, step = (text.replace("DATABASE_URL", variable) for text in (refusal.problem, refusal.next_step))
    return error(f"{variable}: {problem[0].lower()}{problem[1:]}", step, refusal.detail)
