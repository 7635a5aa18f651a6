"""Planted faults of the database: other databases and roles on the server of the tests, and servers of their own."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import time_machine
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from pytest_django.fixtures import Settings

from chatapi.monitoring.upkeep import standbys
from chatapi.quality.rolling import releases
from chatapi.runtime.doctor import upkeep
from chatapi.runtime.doctor.checklist import BY_NAME
from chatapi.runtime.doctor.findings import Level
from chatapi.runtime.doctor.runs import carry_out
from chatapi.runtime.postgres.discovery import NAME, Server, socket_folder
from hooks.models import Hook, Kind, State
from hooks.sql import partitions
from instances.models import Instance
from tests.chatapi.runtime.doctor.conftest import PointedAt
from tests.chatapi.runtime.doctor.finding import find, found
from tests.chatapi.runtime.doctor.poolers import pgbouncer
from tests.factories import InstanceFactory
from tests.faults.clock import Clock
from tests.faults.databases import start_standby, superuser
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import Product, free_port

NOTE, WARNING, ERROR = Level.NOTE, Level.WARNING, Level.ERROR
OTHER, WEAK = "doctor_other", "doctor_weak"


@pytest.fixture(scope="module")
def other(database_server: Server) -> Iterator[str]:
    """A database without tables, whose encoding is not UTF8, and a role without rights in it."""
    with psycopg.connect(superuser(database_server.path), autocommit=True) as session:
        session.execute(
            f"CREATE DATABASE {OTHER} ENCODING SQL_ASCII LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0"
        )
        session.execute(f"CREATE ROLE {WEAK} LOGIN")
    yield OTHER
    with psycopg.connect(superuser(database_server.path), autocommit=True) as session:
        session.execute(f"DROP DATABASE {OTHER} WITH (FORCE)")
        session.execute(f"DROP ROLE {WEAK}")


def dsn(server: Server, database: str, user: str = NAME) -> str:
    return psycopg.conninfo.make_conninfo(host=str(socket_folder(server.path)), user=user, dbname=database)


# -- no connection


@pytest.mark.parametrize(
    ("changed", "problem", "next_step"),
    [
        ({"NAME": "doctor_missing"}, "The database that DATABASE_URL names does not exist.", "createdb"),
        ({"USER": "doctor_unknown"}, "The database refuses the user or the password", "Correct DATABASE_URL"),
        (
            {"HOST": "database.invalid"},
            "The host name of the database cannot be resolved.",
            "Correct the host",
        ),
    ],
)
def test_a_wrong_url(pointed_at: PointedAt, changed: dict[str, str], problem: str, next_step: str) -> None:
    with pointed_at(**changed):
        found("database-connection", ERROR, problem, next_step)


def test_no_server(pointed_at: PointedAt, settings: Settings) -> None:
    with pointed_at(HOST="127.0.0.1", PORT=str(free_port())):
        found("database-connection", ERROR, "The database does not respond.", "Start the site (`make run`")
        settings.EMBEDDED_POSTGRES = False
        finding = found(
            "database-connection", ERROR, "The database does not respond.", "no firewall blocks it"
        )
    assert "Connection refused" in finding.detail


def test_a_server_that_accepts_connections_and_never_responds(pointed_at: PointedAt) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as frozen,
        pointed_at(HOST="127.0.0.1", PORT=str(frozen.getsockname()[1])),
    ):
        finding = found("database-connection", ERROR, "The database does not respond.", "pg.log")
    assert "timeout" in finding.detail


def test_no_free_connection(
    pointed_at: PointedAt, other: str, admin: psycopg.Connection[Any], database_server: Server
) -> None:
    admin.execute(f"ALTER DATABASE {other} CONNECTION LIMIT 1")

    def connect() -> psycopg.Connection[Any] | None:
        with suppress(psycopg.OperationalError):
            return psycopg.connect(dsn(database_server, other, WEAK))
        return None

    try:
        # a session of the test before may still be ending
        session = wait_until(connect, "no other session is left", 60)
        assert session
        with session, pointed_at(NAME=other, USER=WEAK):
            found("database-connection", ERROR, "The database has no free connection.", "max_connections")
    finally:
        admin.execute(f"ALTER DATABASE {other} CONNECTION LIMIT -1")


def test_few_free_connections(
    pointed_at: PointedAt, other: str, admin: psycopg.Connection[Any], database_server: Server
) -> None:
    admin.execute(f"ALTER ROLE {WEAK} CONNECTION LIMIT 10")
    counted = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{WEAK}'"
    wait_until(lambda: admin.execute(counted).fetchone() == (0,), "the sessions of the test before ended", 60)
    try:
        with ExitStack() as held, pointed_at(NAME=other, USER=WEAK):
            assert find("connections") == []
            for _ in range(8):
                held.enter_context(psycopg.connect(dsn(database_server, other, WEAK)))
            found("connections", WARNING, "9 of 10 connections", "Raise the user's CONNECTION LIMIT")
    finally:
        admin.execute(f"ALTER ROLE {WEAK} CONNECTION LIMIT -1")


def test_a_database_that_is_read_only(
    pointed_at: PointedAt, other: str, admin: psycopg.Connection[Any]
) -> None:
    options = {"target_session_attrs": "read-write"}
    admin.execute(f"ALTER DATABASE {other} SET default_transaction_read_only = on")
    try:
        with pointed_at(NAME=other, OPTIONS=options):
            found("database-connection", ERROR, "default_transaction_read_only is on", "ALTER DATABASE")
    finally:
        admin.execute(f"ALTER DATABASE {other} RESET default_transaction_read_only")


# -- another database than the product needs


class OldServer:
    """Speaks as much of PostgreSQL's protocol as a client needs to connect, and says that it is version 13.9."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                while struct.unpack("!ii", client.recv(8))[1] != 196_608:  # TLS and GSSAPI are declined
                    client.sendall(b"N")
                client.recv(4096)
                said = [b"R" + struct.pack("!ii", 8, 0)]
                for name, value in (
                    ("server_version", "13.9"),
                    ("client_encoding", "UTF8"),
                    ("TimeZone", "UTC"),
                ):
                    text = f"{name}\0{value}\0".encode()
                    said.append(b"S" + struct.pack("!i", 4 + len(text)) + text)
                client.sendall(b"".join(said) + b"Z" + struct.pack("!ic", 5, b"I"))
                client.recv(4096)  # until the client ends


def test_an_old_server(pointed_at: PointedAt) -> None:
    old = OldServer()
    try:
        with pointed_at(HOST="127.0.0.1", PORT=str(old.port)):
            found("database-version", ERROR, "The database is PostgreSQL 13, and 14 or newer", "pg_upgrade")
    finally:
        old.listener.close()


def test_another_encoding(pointed_at: PointedAt, other: str) -> None:
    with pointed_at(NAME=other):
        found("encoding", ERROR, "The encoding of the database is SQL_ASCII", "createdb -E UTF8")


def test_a_user_who_may_create_no_tables(pointed_at: PointedAt, other: str) -> None:
    with pointed_at(NAME=other):
        assert find("database-rights") == []
    with pointed_at(NAME=other, USER=WEAK):
        found(
            "database-rights", ERROR, "does not allow its user to create tables",
            f"GRANT CREATE ON SCHEMA public TO {WEAK}",
        )  # fmt: skip


def test_unapplied_migrations(pointed_at: PointedAt, other: str) -> None:
    with pointed_at(NAME=other):
        finding = found("migrations", ERROR, "The database has unapplied migrations.", "manage.py migrate")
    assert int(finding.detail.split()[0]) > 100


@pytest.mark.django_db
@pytest.mark.parametrize("app", ["hooks", "added_later"])
def test_a_database_of_a_newer_version(app: str) -> None:
    assert find("migrations") == find("newer-database") == []
    MigrationRecorder(connection).record_applied(app, "9999_later")
    finding = found("newer-database", WARNING, "migrated by a newer version", "Upgrade the code")
    assert finding.detail == f"{app}.9999_later"


@pytest.mark.django_db
def test_an_app_that_was_removed_since_a_release_is_not_of_a_newer_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record = tmp_path / "released.json"
    record.write_text(json.dumps({"0.1.0": {"removed_since": "0007_last"}, "0.2.0": {}}))
    monkeypatch.setattr(releases, "RECORD", record)
    MigrationRecorder(connection).record_applied("removed_since", "0007_last")
    assert find("newer-database") == []


@pytest.mark.django_db
def test_a_key_that_is_missing(settings: Settings) -> None:
    InstanceFactory()
    assert find("secrets-key") == []
    settings.SECRETS_KEY = ("n" * 40,)
    found("secrets-key", ERROR, "encrypted with a key that is not in it", "restore the file secrets_key")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seconds", "level", "problem"),
    [(-20, WARNING, "s behind the database's"), (300, ERROR, "s ahead of the database's")],
)
def test_a_wrong_clock(seconds: int, level: Level, problem: str) -> None:
    assert find("clock") == []
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds)):
        found("clock", level, problem, "chrony")


def test_a_wrong_clock_of_the_machine(product: Product) -> None:
    from tests.chatapi.runtime.doctor.finding import doctor

    with Clock() as clock:
        clock.set(120)
        code, checks = doctor(product.environment | clock.environment)
    [finding] = checks["clock"]["findings"]
    assert (code, finding["level"], finding["problem"]) == (
        2, "error", "The clock of this machine is 120 s ahead of the database's."
    )  # fmt: skip


def test_a_pooler_that_pools_by_transaction(
    pointed_at: PointedAt, database_server: Server, tmp_path: Path
) -> None:
    for mode, size in (("session", 4), ("transaction", 1), ("transaction", 4)):
        with (
            pgbouncer(tmp_path / f"{mode}{size}", database_server, mode, size) as port,
            pointed_at(HOST="127.0.0.1", PORT=str(port), NAME="postgres"),
        ):
            if mode == "session":
                assert find("advisory-locks") == []
            else:
                found("advisory-locks", ERROR, "a connection pooler in front of the database pools by transaction",
                      "a pooler in front of it must pool by session")  # fmt: skip


def test_a_pooler_of_web_processes(
    database_server: Server, tmp_path: Path, settings: Settings, transactional_db: None
) -> None:
    assert find("pooler") == []  # none
    database = connection.settings_dict
    with pgbouncer(tmp_path / "pooler", database_server, "transaction", 2) as port:

        def lead_to(name: str, **more: Any) -> None:
            settings.POOLED_DATABASE = {"NAME": name, "HOST": "127.0.0.1", "PORT": str(port)} | more

        lead_to(database["NAME"])
        assert find("pooler") == []
        lead_to("postgres")
        found(
            "pooler",
            ERROR,
            "the pooler leads to another database than DATABASE_URL",
            "pooler's configuration",
        )
        lead_to("doctor_missing")
        found(
            "pooler",
            ERROR,
            "the database that DATABASE_POOLER_URL names does not exist",
            "DATABASE_POOLER_URL",
        )
        lead_to(database["NAME"], OPTIONS={"replication": "1"})
        found("pooler", ERROR, "the pooler refuses a parameter", "ignore_startup_parameters")
    lead_to(database["NAME"])
    found("pooler", ERROR, "DATABASE_POOLER_URL: the pooler does not respond.", "Check that it is running")


# -- upkeep


@pytest.mark.django_db
def test_a_server_that_does_not_wait_for_the_disk() -> None:
    """As the server of the tests is started."""
    power, crash = find("safe-commits")
    assert (power.level, crash.level) == (ERROR, WARNING)
    assert "fsync and full_page_writes off" in power.problem and "fsync = on" in power.next_step
    assert "synchronous_commit is off" in crash.problem and "synchronous_commit = on" in crash.next_step


def test_a_table_with_dead_rows(pointed_at: PointedAt, other: str, database_server: Server) -> None:
    with psycopg.connect(dsn(database_server, other), autocommit=True) as session:
        session.execute("CREATE TABLE heap (n int) WITH (autovacuum_enabled = false)")
        session.execute("INSERT INTO heap SELECT generate_series(1, 60000)")
        with pointed_at(NAME=other):
            assert find("dead-rows") == []
        session.execute("DELETE FROM heap WHERE n > 100")
        session.execute("SELECT pg_stat_force_next_flush()")
    with pointed_at(NAME=other):
        wait_until(lambda: find("dead-rows"), "the statistics are written")
        found("dead-rows", WARNING, "heap (59900 dead rows beside 100)", "VACUUM heap")


def test_a_transaction_that_is_left_open(
    pointed_at: PointedAt, other: str, database_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        psycopg.connect(dsn(database_server, other), application_name="report") as session,
        pointed_at(NAME=other),
    ):
        session.execute("SELECT 1")
        pid = session.info.backend_pid
        assert find("long-transactions") == []
        monkeypatch.setattr(upkeep, "IDLE_MINUTES", 0)
        finding = found(
            "long-transactions", WARNING, f"process {pid} of PostgreSQL", f"pg_terminate_backend({pid})"
        )
        with pointed_at(NAME=other, USER=WEAK):  # who may not see it
            assert carry_out(BY_NAME["long-transactions"]).reason.startswith(
                "sessions of other users are hidden"
            )
    assert finding.detail == f"{pid}: report"


@pytest.mark.django_db
def test_retention_that_is_behind(settings: Settings) -> None:
    instance: Instance = InstanceFactory(url="http://127.0.0.1:9/")
    hook = Hook.objects.create(
        endpoint_id=instance.pk, kind=Kind.MESSAGE, body=b"{}", state=State.DELIVERED,
        created_at=timezone.now() - timedelta(days=settings.HOOKS_KEEP_DAYS + 7), finished_at=timezone.now(),
    )  # fmt: skip
    assert find("retention") == []  # a partition is kept until its last hook is old enough
    Hook.objects.filter(pk=hook.pk).update(created_at=timezone.now() - timedelta(days=50))
    found("retention", WARNING, "the oldest finished hook is 50 days old", "“old hooks”")


@pytest.mark.django_db
def test_partitions_of_coming_days_that_are_missing() -> None:
    assert find("partitions") == []
    with connection.cursor() as cursor:
        for partition in partitions.existing(cursor):
            if partition.ends_on > partitions.today():
                for table in partitions.TABLES:
                    cursor.execute(f'DROP TABLE "{table}_{partition.suffix}"')
    found("partitions", WARNING, "The partitions of the coming days are missing", "ten minutes")


# -- a server of the test's own, with a standby


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """A primary and its standby, without the product's tables."""
    from chatapi.runtime.postgres import server as postgres_server

    folder = tmp_path_factory.mktemp("pair")
    primary = postgres_server.start(folder / "pg", thrown_away=True)
    standby = start_standby(primary.path, folder / "standby" / "pg")
    yield primary, standby
    postgres_server.stop(standby)
    postgres_server.stop(primary)


@pytest.fixture
def on_primary(pair: tuple[Server, Server]) -> Iterator[Callable[[str], Any]]:
    """Runs SQL on the primary; at the end, its settings are as before."""
    with psycopg.connect(superuser(pair[0].path), autocommit=True) as session:
        yield session.execute
        session.execute("ALTER SYSTEM RESET ALL")
        session.execute("SELECT pg_reload_conf()")

    def is_reset() -> bool:
        """Asked in a new session, as the next test does: the server reads its settings later."""
        with psycopg.connect(superuser(pair[0].path)) as new:
            changed = "SELECT count(*) FROM pg_settings WHERE sourcefile LIKE '%postgresql.auto.conf'"
            return new.execute(changed).fetchone() == (0,)

    wait_until(is_reset, "the server has read its settings", 60)


def server(of: Server) -> dict[str, Any]:
    """Returns the parameters for pointed_at()."""
    return {"HOST": str(socket_folder(of.path)), "USER": NAME, "NAME": NAME}


def test_a_standby(pointed_at: PointedAt, pair: tuple[Server, Server]) -> None:
    options = {"target_session_attrs": "read-write", "connect_timeout": 10}
    with pointed_at(**server(pair[1]), OPTIONS=options):
        found(
            "database-connection", ERROR, "The database is a standby, which accepts no writes.", "Promote it"
        )
    with pointed_at(**server(pair[0]), OPTIONS=options):
        assert find("database-connection") == find("replication") == []


def test_a_standby_that_the_user_may_not_see(
    pointed_at: PointedAt, pair: tuple[Server, Server], on_primary: Callable[[str], Any]
) -> None:
    on_primary("CREATE ROLE doctor_blind LOGIN")
    try:
        with pointed_at(**server(pair[0]) | {"USER": "doctor_blind"}):
            assert carry_out(BY_NAME["replication"]).reason.startswith(
                "standbys are hidden from the database's user"
            )
            on_primary("GRANT pg_read_all_stats TO doctor_blind")
            assert find("replication") == []
            on_primary("REVOKE pg_read_all_stats FROM doctor_blind")
    finally:
        on_primary("DROP ROLE doctor_blind")


def test_autovacuum_that_is_off(
    pointed_at: PointedAt, pair: tuple[Server, Server], on_primary: Callable[[str], Any]
) -> None:
    on_primary("ALTER SYSTEM SET autovacuum = off")
    on_primary("SELECT pg_reload_conf()")
    with pointed_at(**server(pair[0])):
        wait_until(lambda: find("autovacuum"), "the server has read its settings")
        found("autovacuum", ERROR, "autovacuum is off in PostgreSQL", "Set autovacuum = on")


def test_a_standby_that_is_behind(
    pointed_at: PointedAt, pair: tuple[Server, Server], on_primary: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(upkeep, "LAG_SECONDS", 1)
    with psycopg.connect(superuser(pair[1].path), autocommit=True) as standby, pointed_at(**server(pair[0])):
        wait_until(
            lambda: find("replication") == [], "the standby has replayed what the tests before wrote", 60
        )
        standby.execute("SELECT pg_wal_replay_pause()")

        def is_late() -> bool:
            on_primary("SELECT pg_logical_emit_message(true, 'doctor', 'x')")
            return bool(find("replication"))

        try:
            wait_until(is_late, "the standby is late")
            found("replication", WARNING, "A standby is", "Check the standby's disk")
            [one] = standbys()
            assert one.state == "async" and one.lag is not None and one.lag > 1
        finally:
            standby.execute("SELECT pg_wal_replay_resume()")


def test_a_synchronous_standby_that_is_missing_and_a_slot_of_a_lost_one(
    pointed_at: PointedAt, pair: tuple[Server, Server], on_primary: Callable[[str], Any]
) -> None:
    on_primary("SELECT pg_create_physical_replication_slot('lost', true)")
    on_primary("ALTER SYSTEM SET synchronous_standby_names = 'elsewhere'")
    on_primary("SELECT pg_reload_conf()")
    try:
        with pointed_at(**server(pair[0])):
            wait_until(lambda: len(find("replication")) == 2, "the server has read its settings")
            standby, slot = find("replication")
    finally:
        on_primary("SELECT pg_drop_replication_slot('lost')")
    assert (standby.level, slot.level) == (ERROR, NOTE)
    assert (
        "No synchronous standby is connected" in standby.problem and "Start the standby" in standby.next_step
    )
    assert "The replication slot lost is not used" in slot.problem
    assert "pg_drop_replication_slot('lost')" in slot.next_step
