"""The upkeep of the database: what grows, what is kept too long, and what holds it up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from chatapi.monitoring.upkeep import keeping_time, oldest_finished_hook, standbys
from chatapi.runtime.doctor.database import server_settings
from chatapi.runtime.doctor.findings import Finding, NotCarriedOut, error, note, warning
from chatapi.ui import sizes
from chatapi.ui.durations import in_words
from hooks.sql import partitions

DEAD_ROWS = 50_000  # fewer cost nothing …
DEAD_SHARE = 0.2  # … and autovacuum starts at a twentieth of the rows
IDLE_MINUTES = 5
CONNECTIONS_USED = 0.85
LAG_SECONDS = 60
SLOT_BYTES = 1024**3
RETENTION_SLACK = timedelta(days=2)


def rows(sql: str, values: Any = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


HIDDEN = "<insufficient privilege>"  # PostgreSQL's words for what another user's session does
NOT_VISIBLE = "{what} are hidden from the database's user; GRANT pg_read_all_stats TO that user shows them"


def find_unsafe_commits() -> Iterator[Finding]:
    found = server_settings("fsync", "full_page_writes", "synchronous_commit")
    off = [name for name in ("fsync", "full_page_writes") if found[name] == "off"]
    if off:
        yield error(
            f"{' and '.join(off)} off in PostgreSQL: a power failure destroys the database.",
            f"Set {off[0]} = on in postgresql.conf, and reload the server.",
        )
    if found["synchronous_commit"] == "off":
        yield warning(
            "synchronous_commit is off in PostgreSQL: a crash of the server loses its last messages and hooks.",
            "Set synchronous_commit = on in postgresql.conf, or with ALTER DATABASE … SET.",
        )


def find_vacuum_off() -> Iterator[Finding]:
    off = [name for name, value in server_settings("autovacuum", "track_counts").items() if value == "off"]
    if off:
        yield error(
            f"{off[0]} is off in PostgreSQL: tables grow without limit, and the site gets slower every day.",
            f"Set {off[0]} = on in postgresql.conf, and reload the server.",
        )


def find_dead_rows() -> Iterator[Finding]:
    """Of the tables of this site; a long transaction, or a table for which autovacuum is off, keeps dead rows."""
    found = rows(
        """
        SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables
        WHERE n_dead_tup > %s AND n_dead_tup > %s * (n_live_tup + n_dead_tup) ORDER BY n_dead_tup DESC LIMIT 3
        """,
        [DEAD_ROWS, DEAD_SHARE],
    )
    if found:
        tables = ", ".join(f"{name} ({dead} dead rows beside {live})" for name, dead, live in found)
        yield warning(
            f"Autovacuum is behind: {tables}.",
            "End transactions that last (the check long-transactions lists them). If there is none, run "
            f"VACUUM {found[0][0]}, and see that autovacuum is on for the table.",
        )


def find_long_transactions() -> Iterator[Finding]:
    """Sessions of any program that keep a transaction open: nothing that died since can be vacuumed."""
    found = rows(
        """
        SELECT pid, application_name, now() - xact_start AS age FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%%'
        AND now() - xact_start > %s ORDER BY xact_start LIMIT 5
        """,
        [timedelta(minutes=IDLE_MINUTES)],
    )
    if found:
        pid, _, age = found[0]
        yield warning(
            f"A transaction has been open and idle for {in_words(age)} (process {pid} of PostgreSQL): dead rows cannot "
            "be removed, and migrations wait for it.",
            f"Find the program and end it, or on the server: SELECT pg_terminate_backend({pid}).",
            ", ".join(f"{pid}: {name or 'no name'}" for pid, name, _ in found),
        )
    elif rows(
        f"SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query = '{HIDDEN}' LIMIT 1"
    ):
        raise NotCarriedOut(NOT_VISIBLE.format(what="sessions of other users"))


def find_few_connections() -> Iterator[Finding]:
    """Of the server, the database and the user, the limit that is reached first."""
    [(used, limit, used_here, database_limit, used_by_us, role_limit)] = rows(
        """
        SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
            current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
            (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()),
            (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
            (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user),
            (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user)
        """
    )
    for number, most, what in (
        (used, limit, "max_connections"),
        (used_here, database_limit, "the database's CONNECTION LIMIT"),
        (used_by_us, role_limit, "the user's CONNECTION LIMIT"),
    ):
        if most > 0 and number > most * CONNECTIONS_USED:
            yield warning(
                f"{number} of {most} connections to the database are in use ({what}): without a free one, requests "
                "and tasks fail.",
                f"Raise {what} on the server, or find the programs that hold connections (pg_stat_activity).",
            )
            return


def find_replication_lag() -> Iterator[Finding]:
    """Standbys that are far behind, synchronous ones that are missing, and slots of lost ones."""
    wanted = server_settings("synchronous_standby_names")["synchronous_standby_names"]
    found = standbys()
    if any(one.state is None for one in found):
        raise NotCarriedOut(NOT_VISIBLE.format(what="standbys"))
    if wanted and not any(one.state in ("sync", "quorum") for one in found):
        yield error(
            "No synchronous standby is connected: every commit of the database waits for one.",
            "Start the standby. Until then, on the primary: ALTER SYSTEM SET synchronous_standby_names = '' and "
            "SELECT pg_reload_conf(); what the standby has not received is lost if the primary is.",
        )
    for one in found:
        if one.lag is not None and one.lag > LAG_SECONDS:
            yield warning(
                f"A standby is {in_words(timedelta(seconds=one.lag))} behind the primary: a failover loses or waits "
                "for that much.",
                "Check the standby's disk, its network, and long queries on it.",
            )
            break
    slots = rows(
        "SELECT slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint FROM pg_replication_slots"
        " WHERE NOT active AND restart_lsn IS NOT NULL"
    )
    for name, kept in slots:
        make = warning if kept > SLOT_BYTES else note
        yield make(
            f"The replication slot {name} is not used, and PostgreSQL keeps {sizes.in_words(kept)} of its log for it "
            "until the disk is full.",
            f"Start the standby of this slot, or on the primary: SELECT pg_drop_replication_slot('{name}').",
        )


def find_late_retention() -> Iterator[Finding]:
    """Finished hooks are kept for HOOKS_KEEP_DAYS and up to one partition longer (hooks/maintenance/new_days.py)."""
    oldest = oldest_finished_hook()
    if oldest is None:
        return
    age = timezone.now() - oldest
    if age > keeping_time() + RETENTION_SLACK:
        yield warning(
            f"Retention is behind: the oldest finished hook is {age.days} days old, and HOOKS_KEEP_DAYS is "
            f"{settings.HOOKS_KEEP_DAYS}.",
            "Check that `manage.py worker` is running and that its task “old hooks” does not fail (support desk, "
            "Queues and dispatchers).",
        )


def find_missing_partitions() -> Iterator[Finding]:
    """A task makes partitions a week ahead; without one for tomorrow, ids continue in the day before."""
    with connection.cursor() as cursor:
        last = max((one.ends_on for one in partitions.existing(cursor)), default=None)
    if last is None or last <= partitions.today() + timedelta(days=1):
        yield warning(
            "The partitions of the coming days are missing: hooks of all days go to one table, which cannot be dropped "
            "by age.",
            "Check that `manage.py worker` is running: its task “partitions” makes them every ten minutes.",
        )
