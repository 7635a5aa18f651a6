"""The database: whether it can be reached, accepts writes, is new enough, and fits this code and these keys."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from chatapi.database.advisory_locks import find_advisory_lock_problem
from chatapi.database.read_only import REFUSAL
from chatapi.quality.rolling.releases import released_apps
from chatapi.runtime.doctor.findings import Finding, NotCarriedOut, error, warning
from chatapi.runtime.secret_rotation import missing_key_ids

CONNECT_SECONDS = 2  # the smallest value libpq accepts
OLDEST_VERSION = 14
CLOCK_SECONDS = 2.0  # a difference below it does no harm …
CLOCK_WRONG_SECONDS = 60.0  # … from here on, codes of authenticator apps and signatures are refused

EMBEDDED_STEP = (
    "Start the site (`make run` or `manage.py up`). If it is running, read pg.log in DATA_DIR and restart it."
)
OTHER_STEP = (
    "Check that PostgreSQL is running, that DATABASE_URL has its host and port, and no firewall blocks it."
)
# What libpq and the server say, the sentence for it, and the next step.
REFUSALS = (
    (
        r"authentication failed|no password supplied|no such user|role \"[^\"]*\" does not exist",
        "The database refuses the user or the password of DATABASE_URL.",
        "Correct DATABASE_URL, and restart all processes.",
    ),
    (
        r"no pg_hba\.conf entry",
        "The database does not allow this machine to connect.",
        "Add this machine, the user and the database to pg_hba.conf on the server, and reload it.",
    ),
    (
        r"database \"[^\"]*\" does not exist|no such database",
        "The database that DATABASE_URL names does not exist.",
        "Create it on the server (createdb), or correct the name at the end of DATABASE_URL.",
    ),
    (
        r"too many clients|too many connections|remaining connection slots|no more connections allowed",
        "The database has no free connection.",
        "Raise max_connections on the server (docs/running/database.md), or end programs that hold connections.",
    ),
    (
        r"Name or service not known|failed to resolve|could not translate host name|name resolution",
        "The host name of the database cannot be resolved.",
        "Correct the host in DATABASE_URL, or the DNS settings of this machine.",
    ),
    (
        r"unsupported startup parameter",
        "The pooler refuses a parameter of the connection.",
        "Remove it from DATABASE_URL, or name it in ignore_startup_parameters of the pooler.",
    ),
    (
        r"the database system is (?:starting up|shutting down|in recovery)|not yet accepting connections",
        "The database is starting or stopping.",
        "Wait a minute. If it lasts, read the log of PostgreSQL.",
    ),
)
DOES_NOT_RESPOND = "The database does not respond."


def find_no_connection() -> Iterator[Finding]:
    """Opens a new connection: a working kept one does not show that the next process gets one."""
    try:
        psycopg.connect(**parameters()).close()
    except psycopg.OperationalError as fault:
        yield explain_refusal(str(fault))


def parameters(**changes: Any) -> dict[str, Any]:
    """Returns the parameters of a session outside Django's. A frozen server never responds, so it has a time limit."""
    try:
        found = connection.get_connection_params() | {"connect_timeout": CONNECT_SECONDS, "autocommit": True}
    except ImproperlyConfigured:
        raise NotCarriedOut("DATABASE_URL is wrong") from None
    found.pop("cursor_factory", None)
    return found | changes


def explain_refusal(said: str) -> Finding:
    detail = "; ".join(line.strip() for line in said.splitlines() if line.strip())
    if REFUSAL in said:
        return explain_read_only(detail)
    for pattern, problem, next_step in REFUSALS:
        if re.search(pattern, said):
            return error(problem, next_step, detail)
    return error(DOES_NOT_RESPOND, EMBEDDED_STEP if settings.EMBEDDED_POSTGRES else OTHER_STEP, detail)


def explain_in_one_line(refusal: Exception) -> str:
    """Returns what a refused session means and what to do, as `doctor` says it."""
    finding = explain_refusal(str(refusal))
    return f"{finding.problem} {finding.next_step}"


def explain_read_only(detail: str) -> Finding:
    """Distinguishes a standby from a primary on which writes are switched off."""
    try:
        with psycopg.connect(**parameters(target_session_attrs="any")) as session:
            row = session.execute("SELECT pg_is_in_recovery()").fetchone()
    except psycopg.OperationalError:
        row = None
    if row == (False,):
        return error(
            "The database accepts no writes: default_transaction_read_only is on.",
            "Find out what switched it on, such as a full disk or your provider. Then: ALTER DATABASE … RESET "
            "default_transaction_read_only.",
            detail,
        )
    return error(
        "The database is a standby, which accepts no writes.",
        "Promote it with your cluster manager, or name the primary in DATABASE_URL; with both hosts in it, the "
        "primary is found (docs/running/database.md).",
        detail,
    )


def find_old_version() -> Iterator[Finding]:
    number = server_version()
    if number < OLDEST_VERSION * 10_000:
        yield error(
            f"The database is PostgreSQL {number // 10_000}, and {OLDEST_VERSION} or newer is required.",
            f"Upgrade the server to PostgreSQL {OLDEST_VERSION} or newer (pg_upgrade).",
            id="chatapi.E032",
        )


def server_version() -> int:
    """Returns the version as libpq does: 180001 is 18.1. Not by Django, which refuses an old server."""
    with psycopg.connect(**parameters(target_session_attrs="any")) as session:
        return session.info.server_version


def find_other_encoding() -> Iterator[Finding]:
    encoding = server_settings("server_encoding")["server_encoding"]
    if encoding != "UTF8":
        yield error(
            f"The encoding of the database is {encoding}: messages with other characters cannot be stored.",
            "Create a database with the encoding UTF8 (createdb -E UTF8 -T template0), and load a dump into it.",
            id="chatapi.E033",
        )


def find_missing_rights() -> Iterator[Finding]:
    """Migrations, and the partitions of each week, create tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT has_schema_privilege(current_schema(), 'CREATE'), current_user, current_schema()"
        )
        may_create, user, schema = cursor.fetchone()
    if not may_create:
        yield error(
            "The database does not allow its user to create tables.",
            f"On the server: GRANT CREATE ON SCHEMA {schema or 'public'} TO {user}, or make it the database's owner.",
            id="chatapi.E034",
        )


def find_useless_locks() -> Iterator[Finding]:
    """An engine, or a pooler in front of it, whose advisory locks are not real."""
    if problem := find_advisory_lock_problem():
        yield error(
            f"DATABASE_URL: {problem}.",
            "Use PostgreSQL 14 or newer; a pooler in front of it must pool by session. One that pools by transaction "
            "is for web processes alone: DATABASE_POOLER_URL (docs/running/high-availability.md).",
            id="chatapi.E031",
        )


def find_missing_keys() -> Iterator[Finding]:
    """Keys that the secrets in the database need and SECRETS_KEY does not contain."""
    if missing := missing_key_ids():
        yield error(
            f"SECRETS_KEY: the database has secrets that were encrypted with a key that is not in it "
            f"({', '.join(missing)}).",
            "Set SECRETS_KEY to the key of before (several: newest first), or restore the file secrets_key in "
            "DATA_DIR from its backup; it must be the same on all machines. If the key is lost: `manage.py "
            "rotate_secrets --replace-unreadable` (docs/running/secrets.md).",
            id="chatapi.E022",
        )


def find_unapplied_migrations() -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        yield error(
            "The database has unapplied migrations.",
            "Run `manage.py migrate`; `manage.py up` does it when it starts.",
            f"{len(plan)} of them",
        )


def find_unknown_migrations() -> Iterator[Finding]:
    """The database is that of a newer version: a machine was not upgraded, or the code was set back.

    An app that a version removes leaves its rows in django_migrations. So the migrations of an app that this code does
    not have are those of a newer version only if no release had the app.
    """
    loader = MigrationExecutor(connection).loader
    known = set(loader.disk_migrations) | set(loader.graph.nodes)
    removed_apps = released_apps() - loader.migrated_apps
    unknown = [
        f"{app}.{name}"
        for app, name in loader.applied_migrations
        if (app, name) not in known and app not in removed_apps
    ]
    if unknown:
        yield warning(
            "The database was migrated by a newer version than this code.",
            "Upgrade the code on this machine, and restart its processes.",
            ", ".join(sorted(unknown)[:5]),
        )


def find_wrong_clock() -> Iterator[Finding]:
    """The difference between this machine's clock and the database's; the duration of the query is not part of it."""
    began = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        database = float(cursor.fetchone()[0])
    ended = time.time()
    difference = max(database - ended, began - database)
    if difference < CLOCK_SECONDS:
        return
    ahead = "behind" if database > ended else "ahead of"
    make = error if difference >= CLOCK_WRONG_SECONDS else warning
    yield make(
        f"The clock of this machine is {difference:.0f} s {ahead} the database's.",
        "Synchronize the clocks of both machines, for example with chrony or systemd-timesyncd (`timedatectl`).",
    )


def server_settings(*names: str) -> dict[str, str]:
    """Returns settings of the server, as this session has them. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, current_setting(name, true) FROM unnest(%s::text[]) AS name", [list(names)]
        )
        return dict(cursor.fetchall())
