"""PostgreSQL runs out of what it needs while a dispatcher works: disk, connections, the horizon of vacuum."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.faults.databases import Database, dispatcher_on, said_on_failure, superuser, url_of
from tests.faults.product_instance import create_product_instance
from tests.hooks.dispatch.dispatching import Held, wait_until
from tests.receiver import Receiver
from tests.requirements import cannot_run

DISK = 300  # MB: twice what an empty database with the product's tables needs


def numbers(receiver: Receiver) -> list[int]:
    return [int(request.json()["messages"][0]["body"]) for request in receiver.requests]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of DISK megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}m,mode=755", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        cannot_run(f"a small file system cannot be mounted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Writes a file that takes all of the free space; returns its path."""
    path = folder / "filler"
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    return path


def test_results_wait_while_the_disk_is_full(small_disk: Path, tmp_path: Path) -> None:
    """PostgreSQL refuses to extend a table, or ends with a PANIC when it cannot write its log, and is started again."""
    slow = Held()
    database = Database(small_disk, is_copied=False)  # the log of a copy is larger
    try:
        with Receiver(slow) as receiver, dispatcher_on(database, tmp_path) as dispatcher:
            # guaranteed: on a slow machine, what is held here takes longer than an attempt's deadline
            alice = create_product_instance(
                database.environment, receiver.url, guaranteed=True, parallel=True
            )
            alice.receive(300)
            assert slow.arrived.wait(60), dispatcher.output
            filler = fill(small_disk)
            with contextlib.suppress(psycopg.Error), psycopg.connect(superuser(database.path)) as session:
                # until PostgreSQL has nothing left that it had reserved
                session.execute(
                    "CREATE TABLE filler AS SELECT repeat('x', 2000) FROM generate_series(1, 500000)"
                )
            slow.release.set()
            wait_until(lambda: "the database does not respond" in dispatcher.output, "a write has failed", 60)
            filler.unlink()

            def all_delivered() -> bool:
                if not database.server.alive():  # `manage.py up` starts it again too
                    database.start()
                return alice.delivered() == 300

            with said_on_failure(dispatcher, database):
                wait_until(all_delivered, "all are delivered", 180)
            assert alice.counts()["delivered"] == 300
            assert dispatcher.process.poll() is None, dispatcher.output
            assert set(numbers(receiver)) == set(range(300))
    finally:
        database.stop()


def test_results_wait_while_all_connections_are_taken(database: Database, tmp_path: Path) -> None:
    slow = Held()
    with (
        Receiver(slow) as receiver,
        dispatcher_on(database, tmp_path) as dispatcher,
        contextlib.ExitStack() as held,
    ):
        alice = create_product_instance(database.environment, receiver.url, guaranteed=True)
        alice.receive(50)
        assert slow.arrived.wait(60), dispatcher.output
        first = held.enter_context(psycopg.connect(superuser(database.path), autocommit=True))

        def take_all() -> bool:
            """Takes every free connection and ends the dispatcher's; returns whether it had none left to end."""
            with contextlib.suppress(psycopg.OperationalError):
                while True:
                    held.enter_context(psycopg.connect(superuser(database.path)))
            ended = first.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'chatapi'"
                " AND backend_type = 'client backend'"
            ).fetchone()
            return ended == (0,)

        wait_until(take_all, "the dispatcher has no connection, and none is free", 60)
        slow.release.set()
        held.close()
        with said_on_failure(dispatcher, database):
            alice.wait_until_delivered(50)
        assert dispatcher.process.poll() is None, dispatcher.output
        assert set(numbers(receiver)) == set(range(50))


def test_an_idle_transaction_that_holds_back_vacuum_changes_nothing(
    database: Database, tmp_path: Path
) -> None:
    with Receiver() as receiver, psycopg.connect(url_of(database.path)) as idle:
        idle.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        idle.execute("SELECT count(*), pg_current_xact_id() FROM hooks_hook")
        alice = create_product_instance(database.environment, receiver.url)
        with dispatcher_on(database, tmp_path) as dispatcher:
            for number in range(3):
                alice.receive(300, first=300 * number)
                alice.wait_until_delivered(300 * (number + 1))
            assert dispatcher.process.poll() is None, dispatcher.output
        with psycopg.connect(url_of(database.path), autocommit=True) as session:
            session.execute("VACUUM hooks_hook")
            row = session.execute(
                "SELECT backend_xmin IS NOT NULL FROM pg_stat_activity WHERE pid = %s",
                [idle.info.backend_pid],
            ).fetchone()
        assert row == (True,)  # it was open all the time
        assert numbers(receiver) == list(range(900))
