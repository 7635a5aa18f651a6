"""PostgreSQL fails over to a synchronous standby; the product knows both hosts, and works on a primary only."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hooks import worker_slots
from hooks.models import Role
from tests.faults.databases import Pair, dispatcher_on, said_on_failure, superuser, url_of
from tests.faults.product_instance import create_product_instance
from tests.hooks.dispatch.dispatching import Held
from tests.product import Product, manage
from tests.receiver import Receiver

STANDBY_REFUSED = (
    "The database is a standby, which accepts no writes. Promote it with your cluster manager, or name the primary in "
    "DATABASE_URL; with both hosts in it, the primary is found (docs/running/database.md)."
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A pair that no test fails over."""
    made = Pair(tmp_path_factory.mktemp("pair"))
    yield made
    made.stop()


@pytest.fixture
def own_pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    made.stop()


def test_no_slot_is_taken_on_a_standby(pair: Pair) -> None:
    """PostgreSQL itself would grant the lock there, beside the dispatcher's on the primary."""
    with psycopg.connect(superuser(pair.path), autocommit=True) as primary:
        assert worker_slots.try_slot(primary, Role.DISPATCH, 99)
        with psycopg.connect(superuser(pair.standby_path), autocommit=True) as standby:
            assert standby.execute("SELECT pg_try_advisory_lock(1)").fetchone() == (True,)
            with pytest.raises(worker_slots.NotPrimary):
                worker_slots.try_slot(standby, Role.DISPATCH, 99)


def test_commands_refuse_a_standby_alone_and_say_what_to_do(pair: Pair, tmp_path: Path) -> None:
    """The URL's own target_session_attrs does not matter."""
    url = url_of(pair.standby_path) + "&target_session_attrs=any"
    environment = pair.environment | {"DATABASE_URL": url, "DATA_DIR": str(tmp_path)}
    for command in ("up", "worker", "standby", "dispatch", "send", "receive", "prepare"):
        done = manage(command, environment=environment)
        assert done.returncode == 1, command
        assert done.stderr.strip().splitlines()[-1].removeprefix("CommandError: ") == STANDBY_REFUSED


def test_hooks_survive_a_failover_and_are_delivered_by_the_same_dispatcher(
    own_pair: Pair, tmp_path: Path
) -> None:
    slow = Held()
    with Receiver(slow) as receiver, dispatcher_on(own_pair, tmp_path) as dispatcher:
        alice = create_product_instance(own_pair.environment, receiver.url)
        alice.receive(100)
        assert slow.arrived.wait(60), dispatcher.output
        own_pair.wait_for_standby()  # claims are committed without waiting for it
        own_pair.kill_primary()
        slow.release.set()  # the response cannot be recorded until the other is promoted
        own_pair.promote()
        with said_on_failure(dispatcher, own_pair):
            alice.wait_until_delivered(100)
            alice.receive(20, first=100)
            alice.wait_until_delivered(120)
        assert dispatcher.process.poll() is None, dispatcher.output
        counts = alice.counts()
    arrived = [int(request.json()["messages"][0]["body"]) for request in receiver.requests]
    assert arrived == list(range(120))  # in order, without duplicates
    assert counts["emitted"] - counts["skipped"] == counts["delivered"] == 120


def test_the_whole_product_goes_on_after_a_failover(own_pair: Pair, tmp_path: Path) -> None:
    with (
        Receiver() as receiver,
        Product(tmp_path, DATABASE_URL=own_pair.url, HOOKS_ALLOW_NETWORKS="127.0.0.0/8") as product,
    ):
        alice = create_product_instance(product.environment, receiver.url)
        alice.receive(20)
        alice.wait_until_delivered(20)
        own_pair.kill_primary()
        own_pair.promote()
        product.wait_for_ready()
        alice.receive(20, first=20)
        alice.wait_until_delivered(40)
    assert {request.json()["messages"][0]["body"] for request in receiver.requests} == set(
        map(str, range(40))
    )


def test_a_database_whose_advisory_locks_have_no_effect_is_refused_at_the_start(
    pair: Pair, tmp_path: Path
) -> None:
    """As CockroachDB's: here a function of the same name, found first, answers true to everyone."""
    with psycopg.connect(superuser(pair.path), autocommit=True) as session:
        session.execute("CREATE DATABASE pretends")
    pretends = pair.url.removesuffix("/chatapi") + "/pretends"
    with psycopg.connect(pretends, autocommit=True) as session:
        session.execute("CREATE SCHEMA IF NOT EXISTS first")
        session.execute(
            "CREATE FUNCTION first.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'"
        )
        session.execute("ALTER DATABASE pretends SET search_path = first, pg_catalog, public")
    environment = pair.environment | {"DATABASE_URL": pretends, "DATA_DIR": str(tmp_path)}
    for command in ("up", "worker", "dispatch"):
        done = manage(command, environment=environment)
        assert done.returncode == 1
        assert "DATABASE_URL: advisory locks have no effect in this database (PostgreSQL 18" in done.stderr
