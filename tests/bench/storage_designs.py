"""Measures what PostgreSQL needs to store, claim and record a hook in several designs of the tables.

`python -m tests.bench.storage_designs [--hooks 20000] [--rounds 3] [NAME …]`. The tables of each design are copies of
the product's, with its partitions, in a schema of their own; the statements are the product's, changed where the design
differs. Hooks of 500 bytes over 100 lanes, claimed and recorded in batches of 500.

CPU is that of the session's backend, read from /proc, so other load on the machine hardly changes it. Vacuum is not
included: it is switched off for these tables.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from tests.bench.environment import bench_database

LANES = 100
BATCH = 500
SCHEMA = "designs"
ME = 4711  # the dispatcher's number

INSERT = """
INSERT INTO hooks_hook (
    public_id, endpoint_id, kind, message, chat, created_at, simulated, to_url, attempts_allowed{names})
SELECT uuidv7(), lane, 'message', 'true_15550000000@c.us_' || gen_random_uuid(), '15550000000@c.us', clock_timestamp(),
    false, '', 1{values}
FROM generate_series(1, %(each)s) AS number, unnest(%(lanes)s::bigint[]) AS lane ORDER BY number, lane
"""
STATE_COLUMNS = {
    "state": "'queued'",
    "skip_reason": "''",
    "trigger": "'event'",
    "attempts_made": "0",
    "claim": "0",
    "last_outcome": "''",
    "last_host": "''",
}
BODY = "convert_to(repeat('x', 500), 'UTF8')"
# Of an appended attempt, the columns that the log filters by; today they are columns of the hook.
APPENDED = "endpoint_id, host, response_class"
CLAIM_APPENDED = """
WITH due AS MATERIALIZED (
    SELECT due.*, e.secret, e.url FROM unnest(%(lanes)s::bigint[], %(firsts)s::int[]) AS want (endpoint_id, firsts)
    JOIN hooks_endpoint e ON e.id = want.endpoint_id AND e.id = ANY(%(lanes)s)
    JOIN hooks_lane l ON l.endpoint_id = want.endpoint_id AND l.endpoint_id = ANY(%(lanes)s)
    CROSS JOIN LATERAL (
        SELECT id, endpoint_id, public_id, body, attempts_allowed, simulated, to_url FROM hooks_hook h
        WHERE h.endpoint_id BETWEEN want.endpoint_id AND want.endpoint_id AND id > l.cursor AND id <= %(to)s
            AND id > %(from)s
        ORDER BY h.endpoint_id DESC, id LIMIT want.firsts
    ) due
), owned AS (
    UPDATE hooks_lane l SET owner = %(me)s, until = clock_timestamp() + interval '30 s', cursor = claimed.cursor
    FROM (SELECT endpoint_id, max(id) AS cursor FROM due GROUP BY endpoint_id) claimed
    WHERE l.endpoint_id = claimed.endpoint_id AND l.endpoint_id = ANY(%(lanes)s)
)
SELECT * FROM due
"""
OWNED = "SELECT endpoint_id FROM hooks_lane WHERE endpoint_id = ANY(%s) AND owner = %s ORDER BY endpoint_id FOR SHARE"

Session = psycopg.Connection[Any]


@dataclass
class Design:
    """One design: how its tables differ from the product's, and how hooks are stored, claimed and recorded."""

    name: str
    what: str
    tables: Sequence[str] = ()  # statements that change the copied tables before their partitions are made
    session: Sequence[str] = ()  # statements at the start of the session
    fillfactor: int = 50
    has_state: bool = True
    body_apart: bool = False
    claim_sql: Callable[[str], str] = str
    update_sql: Callable[[str], str] = str
    insert_attempts: bool = False  # by INSERT … SELECT unnest instead of COPY

    def insert(self, session: Session, lanes: list[int], each: int) -> None:
        extra = dict(STATE_COLUMNS) if self.has_state else {}
        if not self.body_apart:
            extra["body"] = BODY
        names = "".join(f", {name}" for name in extra)
        statement = INSERT.format(names=names, values="".join(f", {value}" for value in extra.values()))
        if self.body_apart:
            statement = (
                f"WITH new AS ({statement} RETURNING id) INSERT INTO hooks_body SELECT id, {BODY} FROM new"
            )
        session.execute(statement, {"lanes": lanes, "each": each})

    def claim(self, session: Session, lanes: list[int], each: int) -> list[Any]:
        from hooks.dispatch import claim
        from hooks.dispatch.attempts import ClaimedHook
        from hooks.models import Trigger
        from hooks.sql import partitions

        if self.has_state:
            former, claim.CLAIM_HOOKS = claim.CLAIM_HOOKS, self.claim_sql(claim.CLAIM_HOOKS)
            try:
                return claim.claim_hooks(session, ME, dict.fromkeys(lanes, each), wanted_retries={}).hooks
            finally:
                claim.CLAIM_HOOKS = former
        first = partitions.first_id(partitions.today())
        bounds = {"from": first - 1, "to": partitions.end_of_next_day(first)}
        values = {"lanes": lanes, "firsts": [each] * len(lanes), "me": ME, **bounds}
        rows = session.execute(
            body_of(CLAIM_APPENDED) if self.body_apart else CLAIM_APPENDED, values
        ).fetchall()
        hooks = [
            ClaimedHook(
                id=row[0], webhook_id="hook_" + row[2].hex, endpoint_id=row[1], body=bytes(row[3]), claim=0,
                attempts_made=0, attempts_allowed=row[4], trigger=Trigger.EVENT, simulated=row[5], url=row[8],
                secret="", parallel=True, lease_ends=0.0,
            )
            for row in rows
        ]  # fmt: skip
        return sorted(hooks, key=lambda hook: hook.id)

    def record(self, session: Session, hooks: list[Any]) -> None:
        from hooks.dispatch import copy_text, record
        from hooks.log import statistics

        results = [result_of(hook) for hook in hooks]
        with session.transaction(), session.cursor() as cursor:
            if self.has_state:
                cursor.execute(self.update_sql(record.UPDATE_HOOKS), record.parameters(results, ME, {}))
                updated = len(cursor.fetchall())
            else:
                lanes = sorted({hook.endpoint_id for hook in hooks})
                owned = {row[0] for row in cursor.execute(OWNED, [lanes, ME]).fetchall()}
                updated = sum(hook.endpoint_id in owned for hook in hooks)
            if updated != len(hooks):
                raise RuntimeError(f"{self.name}: {updated} of {len(hooks)} hooks were recorded")
            lines = [copy_text.line(result) for result in results]
            columns = record.COLUMNS
            if not self.has_state:
                columns += f", {APPENDED}"
                lines = [
                    f"{line[:-1]}\t{hook.endpoint_id}\t127.0.0.1\t200\n"
                    for line, hook in zip(lines, hooks, strict=True)
                ]
            if self.insert_attempts:
                cursor.execute(*unnested(columns, lines))
            else:
                with cursor.copy(f"COPY hooks_attempt ({columns}) FROM STDIN") as copy:
                    copy.write("".join(lines))
            cursor.execute(
                record.UPDATE_FAILING_SINCE,
                [*(list(values) for values in zip(*record.failing_since(results).items(), strict=True)),
                 list(record.failing_since(results))],
            )  # fmt: skip
            statistics.count_results(cursor, results)


def unnested(columns: str, lines: Iterable[str]) -> tuple[str, list[list[str | None]]]:
    """Returns the INSERT of these lines of a COPY, and its parameters: one array of texts for each column."""
    types = {
        "hook_id": "bigint", "number": "smallint", "started_at": "timestamptz", "request_headers": "jsonb",
        "response_headers": "jsonb", "status": "smallint", "response_body": "bytea", "response_size": "int",
        "name_ms": "float8", "connect_ms": "float8", "tls_ms": "float8", "first_byte_ms": "float8",
        "total_ms": "float8",
    }  # fmt: skip
    names = columns.split(", ")
    rows = [
        [None if value == "\\N" else value.replace("\\\\", "\\") for value in line[:-1].split("\t")]
        for line in lines
    ]
    selected = ", ".join(f"{name}::{types.get(name, 'text')}" for name in names)
    arrays = ", ".join(["%s::text[]"] * len(names))
    return (
        f"INSERT INTO hooks_attempt ({columns}) SELECT {selected} FROM unnest({arrays}) AS u ({columns})",
        [list(column) for column in zip(*rows, strict=True)],
    )


def drop(*names: str) -> list[str]:
    """Returns the statements that drop these indexes of the copied table of hooks."""
    return [f"DROP INDEX {SCHEMA}.{name}" for name in names]


CHANGING = (
    "hooks_hook_state", "hooks_hook_retrying", "hooks_hook_due", "hooks_hook_host", "hooks_hook_answer",
    "hooks_hook_own_url", "hooks_hook_skipped", "hooks_hook_redelivery",
)  # fmt: skip
APPEND_ONLY = [
    *drop(*CHANGING),
    *[
        f"ALTER TABLE hooks_hook DROP COLUMN {name} CASCADE"
        for name in (
            "state", "skip_reason", "trigger", "redelivery_id", "attempts_made", "next_attempt_at", "lease_until",
            "claim", "finished_at", "last_outcome", "last_status", "last_host", "last_ms",
        )
    ],
    "ALTER TABLE hooks_attempt ADD endpoint_id bigint NOT NULL",
    "ALTER TABLE hooks_attempt ADD host varchar(255) NOT NULL",
    "ALTER TABLE hooks_attempt ADD response_class varchar(4) NOT NULL",
    "CREATE INDEX hooks_attempt_host ON hooks_attempt (endpoint_id, host, hook_id DESC)",
    "CREATE INDEX hooks_attempt_class ON hooks_attempt (endpoint_id, response_class, hook_id DESC)",
]  # fmt: skip


def by_lane(statement: str) -> str:
    """UPDATE_HOOKS with its check of the lane's owner once per lane, and not once per hook."""
    before, _, after = statement.partition("WHEN lane.cursor IS NOT NULL")
    owned = "h.endpoint_id = ANY(ARRAY(SELECT endpoint_id FROM hooks_lane WHERE owner = %s))"
    return f"{before}ELSE {owned}{after[after.index(' END') :]}"


def body_of(statement: str) -> str:
    """CLAIM_HOOKS with the body from its own table."""
    found = "(SELECT b.body FROM hooks_body b WHERE b.hook_id = h.id)"
    return statement.replace(
        "public_id, body, attempts_allowed", f"public_id, {found} AS body, attempts_allowed", 1
    ).replace("h.endpoint_id, h.body", f"h.endpoint_id, {found}", 1)


def from_log(statement: str) -> str:
    """CLAIM_HOOKS that finds first attempts by the lane's cursor in the index of the log."""
    return (
        statement.replace(
            "row_number() OVER (ORDER BY endpoint_id, id) AS turn",
            "row_number() OVER (ORDER BY endpoint_id DESC, id) AS turn",
            1,
        )
        .replace("AND state = 'queued'\n", "AND state || '' = 'queued'\n", 1)
        .replace(
            "ORDER BY endpoint_id, id LIMIT want.firsts", "ORDER BY endpoint_id DESC, id LIMIT want.firsts", 1
        )
    )


BODIES = [
    "ALTER TABLE hooks_hook DROP COLUMN body",
    "CREATE TABLE hooks_body (hook_id bigint PRIMARY KEY, body bytea NOT NULL) PARTITION BY RANGE (hook_id)",
]
DESIGNS = [
    Design("a today", "hook updated once, with all indexes"),
    Design("b bodies apart", "a, with the body in a table of its own", BODIES, body_apart=True, claim_sql=body_of),
    Design(
        "c append-only", "hook never updated, state derived from its attempt", APPEND_ONLY,
        fillfactor=100, has_state=False,
    ),
    Design(
        "c2 and bodies apart", "the same, with the body in a table of its own", [*BODIES, *APPEND_ONLY],
        fillfactor=100, has_state=False, body_apart=True,
    ),
    Design("d1 no class", "a without the index of response classes", drop("hooks_hook_answer")),
    Design(
        "d2 no class, no host", "a without the indexes of classes and hosts",
        drop("hooks_hook_answer", "hooks_hook_host"),
    ),
    Design(
        "d3 HOT", "a without any index on a column that changes", drop(*CHANGING), claim_sql=from_log,
    ),
    Design("d4 owner by lane", "a, but the owner is checked once per lane", update_sql=by_lane),
    Design("d5 INSERT", "a, but attempts are inserted by INSERT … SELECT unnest", insert_attempts=True),
    Design("d6 wal_compression", "a with wal_compression = pglz", session=["SET wal_compression = pglz"]),
    Design("d7 fillfactor 100", "a with full pages", fillfactor=100),
]  # fmt: skip


def result_of(hook: Any) -> Any:
    from hooks.dispatch.attempts import attempt_result
    from hooks.http import Response
    from hooks.models import Outcome

    headers = {
        "Content-Type": "application/json",
        "User-Agent": "ChatAPI/0.2.0",
        "webhook-id": hook.webhook_id,
        "webhook-timestamp": "1790000000",
        "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        "webhook-attempt": "1/1",
    }
    response = Response(
        Outcome.OK,
        200,
        [["Content-Length", "2"]],
        b"ok",
        2,
        "127.0.0.1:8080",
        "",
        None,
        0.041,
        None,
        1.234,
        1.301,
    )
    return attempt_result(hook, datetime.now(UTC), headers, response)


def copy_tables(superuser: Session, design: Design, role: str) -> None:
    """Makes the design's tables, with their partitions, in the schema."""
    from hooks.sql import partitions

    superuser.execute("SET client_min_messages = warning")
    superuser.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    superuser.execute(f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {role}")
    superuser.execute(f"SET ROLE {role}")
    superuser.execute(f"SET search_path = {SCHEMA}, public")
    for table, key in partitions.TABLES.items():
        superuser.execute(
            f"CREATE TABLE {table} (LIKE public.{table} {partitions.COMMON}) PARTITION BY RANGE ({key})"
        )
        indexes = superuser.execute(
            "SELECT c.relname, pg_get_indexdef(i.indexrelid), i.indisprimary FROM pg_index i"
            " JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = %s::regclass",
            [f"public.{table}"],
        ).fetchall()
        for name, definition, is_primary in indexes:
            if is_primary:
                superuser.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} PRIMARY KEY ({key})")
            else:
                superuser.execute(definition.replace("ONLY public.", "").replace("public.", ""))
    for table in partitions.TABLES:
        superuser.execute(f"CREATE SEQUENCE {table}_id_seq")
        superuser.execute(f"ALTER TABLE {table} ALTER id SET DEFAULT nextval('{table}_id_seq')")
    for statement in design.tables:
        superuser.execute(statement)
    with superuser.cursor() as cursor:
        partitions.make_ahead(cursor, partitions.today(), 6)
        partitions.start_day(cursor, partitions.today())
        for partition in partitions.existing(cursor):
            cursor.execute(
                f"ALTER TABLE {partition.of('hooks_hook')}"
                f" SET (fillfactor = {design.fillfactor}, autovacuum_enabled = false)"
            )
            cursor.execute(f"ALTER TABLE {partition.of('hooks_attempt')} SET (autovacuum_enabled = false)")
            if design.body_apart:
                cursor.execute(
                    f"CREATE TABLE {partition.of('hooks_body')} PARTITION OF hooks_body FOR VALUES"
                    f" FROM ({partition.start}) TO ({partition.end})"
                )
    superuser.execute("RESET ROLE")
    superuser.execute("CHECKPOINT")


def cpu_us(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1000


def measure(design: Design, hooks: int, lanes: list[int]) -> dict[str, float]:
    """Returns the µs of CPU per hook of each step, and the bytes of WAL, tables and indexes per hook."""
    from django.db import connection

    from chatapi.runtime.postgres.discovery import NAME, ROLE
    from hooks import worker_slots

    parameters = connection.get_connection_params()
    with (
        psycopg.connect(**parameters | {"user": NAME}, autocommit=True) as superuser,
        worker_slots.connect() as session,
    ):
        superuser.execute(f"GRANT SET ON PARAMETER wal_compression TO {ROLE}")
        copy_tables(superuser, design, ROLE)
        superuser.execute("UPDATE public.hooks_lane SET owner = NULL, until = NULL, cursor = 0")
        superuser.execute("TRUNCATE public.hooks_minutecount")
        for statement in (f"SET search_path = {SCHEMA}, public", *design.session):
            session.execute(statement)
        pid = session.info.backend_pid
        wal = one(superuser, "SELECT pg_current_wal_insert_lsn() - '0/0'")
        started = cpu_us(pid)
        for _ in range(hooks // BATCH):
            design.insert(session, lanes, BATCH // LANES)
        inserted = cpu_us(pid)
        claims = records = 0.0
        for _ in range(hooks // BATCH):
            before = cpu_us(pid)
            found = design.claim(session, lanes, BATCH // LANES)
            claimed = cpu_us(pid)
            if len(found) != BATCH:
                raise RuntimeError(f"{design.name}: {len(found)} of {BATCH} hooks were claimed")
            design.record(session, found)
            claims += claimed - before
            records += cpu_us(pid) - claimed
        size = one(
            superuser,
            f"SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c"
            f" WHERE relnamespace = '{SCHEMA}'::regnamespace AND relkind = 'r'",
        )
        return {
            "insert": (inserted - started) / hooks,
            "claim": claims / hooks,
            "record": records / hooks,
            "wal": (one(superuser, "SELECT pg_current_wal_insert_lsn() - '0/0'") - wal) / hooks,
            "size": size / hooks,
        }


def one(session: Session, sql: str) -> float:
    row = session.execute(sql).fetchone()
    assert row
    return float(row[0])


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.storage_designs")
    parser.add_argument("names", nargs="*", help="the first words of designs; all without")
    parser.add_argument("--hooks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3, help="of which the least CPU counts")
    options = parser.parse_args()
    wanted = [one for one in DESIGNS if not options.names or one.name.split()[0] in options.names]
    os.nice(5)
    with bench_database():
        from tests.bench import scenarios

        scenarios.load(LANES, "http://127.0.0.1:9")
        lanes = scenarios.keys()
        found: dict[str, list[dict[str, float]]] = {design.name: [] for design in wanted}
        for _ in range(options.rounds):
            for design in wanted:
                found[design.name].append(measure(design, options.hooks, lanes))
                print(f"… {design.name}: {found[design.name][-1]}", file=sys.stderr, flush=True)
        print(
            "| design | insert, µs | claim, µs | record, µs | claim + record | WAL, bytes | stored, bytes |"
        )
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for design in wanted:
            best = {key: min(one[key] for one in found[design.name]) for key in found[design.name][0]}
            print(
                f"| {design.name}: {design.what} | {best['insert']:.1f} | {best['claim']:.1f} | {best['record']:.1f}"
                f" | {best['claim'] + best['record']:.1f} | {best['wal']:,.0f} | {best['size']:,.0f} |"
            )


if __name__ == "__main__":
    main()
