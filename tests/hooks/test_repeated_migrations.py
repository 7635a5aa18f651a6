"""A migration that was interrupted while it built an index, or checked a bound, is repeated."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import IntegrityError, connection
from django.db.migrations import RunSQL
from django.db.migrations.loader import MigrationLoader

from chatapi.database.concurrent_index import AddIndexAgain
from hooks.maintenance import old_indexes
from hooks.models import Hook
from hooks.sql.partitions import LEGACY, existing
from instances.actions.messages import receive_message
from tests.factories import InstanceFactory
from tests.hooks.earlier_code import emit_as_before
from tests.hooks.newest_tables import migrate, restore_newest_tables
from tests.hooks.test_migration_of_partitions import suffixes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]  # it migrates several times

BEFORE = [("hooks", "0022_planned_is_minimum")]
INDEXES = ("hooks_endpoint_overridden", "hooks_hook_message")
OF_LEGACY = f"hooks_hook_message_{LEGACY}"


@pytest.fixture(autouse=True)
def newest_tables() -> Iterator[None]:
    yield
    restore_newest_tables()


def validity() -> dict[str, bool]:
    """Whether each of the indexes there is valid."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid"
            " WHERE relname = ANY(%s)",
            [[*INDEXES, OF_LEGACY]],
        )
        return dict(cursor.fetchall())


def leave_invalid(name: str, table: str) -> None:
    """Interrupts the building of an index, by a fault that PostgreSQL finds in the second row."""
    with pytest.raises(IntegrityError), connection.cursor() as cursor:
        cursor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ((1))")


def test_indexes_and_constraints_of_an_interrupted_run_are_replaced() -> None:
    instances = [InstanceFactory(url=f"http://127.0.0.1:9/{number}") for number in range(2)]
    migrate(BEFORE)
    for instance in instances:
        emit_as_before(instance)
    leave_invalid("hooks_endpoint_overridden", "hooks_endpoint")
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER TABLE hooks_hook ADD CONSTRAINT hooks_hook_{LEGACY}_ids CHECK (id < 7) NOT VALID"
        )

    migrate()
    assert validity() == {"hooks_endpoint_overridden": True, "hooks_hook_message": False}
    assert suffixes("hooks_hook")[0] == LEGACY
    assert Hook.objects.count() == 2

    leave_invalid(OF_LEGACY, f"hooks_hook_{LEGACY}")
    assert not validity()[OF_LEGACY]
    assert old_indexes.build() == "6 of 6 missing indexes built"
    assert validity() == dict.fromkeys([*INDEXES, OF_LEGACY], True)
    assert old_indexes.build() == "no index is missing"


def test_the_index_of_an_interrupted_run_over_partitions_is_completed() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'hooks_hook_outcome'")
        [definition] = cursor.fetchone()
    assert " ON ONLY " in definition
    instance = InstanceFactory(url="http://127.0.0.1:9/hook")
    migrate([("hooks", "0027_receiver_role")])
    for _ in range(2):
        hook = emit_as_before(instance)
    with connection.cursor() as cursor:
        partition = next(one for one in existing(cursor) if one.start <= hook.pk < one.end)
        cursor.execute(definition)
    leave_invalid(f"hooks_hook_outcome_{partition.suffix}", partition.of("hooks_hook"))

    migrate()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indrelid::regclass::text, indisvalid FROM pg_index"
            " WHERE indexrelid = 'hooks_hook_outcome'::regclass OR indexrelid IN"
            " (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'hooks_hook_outcome'::regclass)"
        )
        found = dict(cursor.fetchall())
        assert found == dict.fromkeys(
            ["hooks_hook", *(one.of("hooks_hook") for one in existing(cursor))], True
        )


def test_every_migration_that_builds_an_index_concurrently_can_be_repeated() -> None:
    found = [
        (type(operation), name)
        for (app, name), migration in MigrationLoader(connection).disk_migrations.items()
        if "site-packages" not in apps.get_app_config(app).path
        for operation in migration.operations
        if isinstance(operation, AddIndexConcurrently)
    ]
    assert len(found) >= 3
    assert {kind for kind, _ in found} == {AddIndexAgain}


def test_an_index_of_an_interrupted_way_back_is_replaced() -> None:
    instance = InstanceFactory()
    for sender in ("17680561234", "17680561235"):
        receive_message(instance, sender=sender, body="creates a chat")
    leave_invalid("instances_chat_recent", "instances_chat")
    migrate([("instances", "0043_last_messages")])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid, pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE indexrelid = 'instances_chat_recent'::regclass"
        )
        [(is_valid, definition)] = cursor.fetchall()
    assert is_valid
    assert definition.endswith("(instance_id, last_time DESC)")


def test_no_migration_takes_an_invalid_index_for_the_one_that_it_builds() -> None:
    statements = [
        statement
        for (app, _), migration in MigrationLoader(connection).disk_migrations.items()
        if "site-packages" not in apps.get_app_config(app).path
        for separate in migration.operations
        for operation in getattr(separate, "database_operations", [separate])
        if isinstance(operation, RunSQL)
        for sql in (operation.sql, operation.reverse_sql or "")
        for statement in ([sql] if isinstance(sql, str) else sql)
        if "INDEX CONCURRENTLY" in str(statement)
    ]
    assert any(str(statement).startswith("CREATE INDEX CONCURRENTLY") for statement in statements)
    assert [statement for statement in statements if "IF NOT EXISTS" in str(statement)] == []
