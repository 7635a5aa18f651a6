"""Where DATABASE_POOLER_URL and DATABASE_REPLICA_URL lead: to the primary of DATABASE_URL, and to its standby."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from django.conf import settings

from chatapi.database import replica
from chatapi.runtime.doctor.database import CONNECT_SECONDS, DOES_NOT_RESPOND, explain_refusal, parameters
from chatapi.runtime.doctor.findings import Finding, error, warning

POOLER, REPLICA = "DATABASE_POOLER_URL", "DATABASE_REPLICA_URL"
FROM_PRIMARY = "Until then, the pages of the log read from the primary."
# Whether the server is a standby, since when it runs, and which of its databases this is: another server differs.
PLACE = """
SELECT pg_is_in_recovery(), pg_postmaster_start_time(), oid FROM pg_database WHERE datname = current_database()
"""
CLUSTER = """
SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database()) FROM pg_control_system()
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


def find_late_replica() -> Iterator[Finding]:
    """A replica that pages cannot read from. They work without it, so it is a warning."""
    if not settings.REPLICA_DATABASE:
        return
    if replica.replica.is_away:  # this process waits for it already
        step = f"Check that it is running, and that it is a standby. {FROM_PRIMARY}"
        yield warning(f"{REPLICA}: the replica does not respond.", step)
        return
    where, now = replica.position()
    try:
        with psycopg.connect(**parameters_of(settings.REPLICA_DATABASE)) as session:
            if cluster(session) != cluster_of_primary():
                yield error(
                    f"{REPLICA}: the replica is one of another database than DATABASE_URL.",
                    "Correct its host, or create the standby again from the primary (pg_basebackup).",
                )
                return
            behind = replica.behind_primary(session, where, now, replica.START)
    except replica.NotStandby:
        yield warning(
            f"{REPLICA}: the server is a primary, not a standby.",
            f"Name a standby; of several hosts, the standby is found. {FROM_PRIMARY}",
        )
        return
    except psycopg.OperationalError as fault:
        found = explain(REPLICA, "replica", str(fault))
        yield warning(found.problem, f"{found.next_step} {FROM_PRIMARY}", found.detail)
        return
    if behind is None or behind > replica.MAX_LAG_SECONDS:
        far = "an unknown time" if behind is None else f"{behind:.0f} s"
        yield warning(
            f"{REPLICA}: the replica is {far} behind the primary.",
            f"Check the standby's disk, its network, and long queries on it. {FROM_PRIMARY}",
        )


def cluster(session: psycopg.Connection[Any]) -> Any:
    """Returns what a primary and its standbys have in common; None if the user may not ask."""
    try:
        return session.execute(CLUSTER).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None


def cluster_of_primary() -> Any:
    with psycopg.connect(**parameters()) as session:
        return cluster(session)


def place(session_parameters: dict[str, Any]) -> tuple[Any, ...]:
    """Returns PLACE. Raises psycopg.OperationalError."""
    with psycopg.connect(**session_parameters) as session:
        row = session.execute(PLACE).fetchone()
    assert row
    return row


def parameters_of(database: dict[str, Any]) -> dict[str, Any]:
    """Returns the parameters of a session at another URL's database, which may be a standby."""
    found = replica.new_connection(database).get_connection_params()
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
