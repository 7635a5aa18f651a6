"""The tables of an older installation become the first partitions, with their hooks; and back again."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from hooks import outbox
from hooks.maintenance import conservation, retention
from hooks.models import Attempt, Hook, Kind, Outcome, State
from hooks.sql import partitions
from hooks.sql.partitions import LEGACY_END, first_id, today
from instances.models import Instance
from tests.factories import InstanceFactory
from tests.hooks.earlier_code import emit_as_before
from tests.hooks.newest_tables import WITHOUT_PARTITIONS, migrate, restore_newest_tables

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]  # it migrates several times


@pytest.fixture(autouse=True)
def newest_tables() -> Iterator[None]:
    yield
    restore_newest_tables()


def emit(instance: Instance) -> Hook:
    with transaction.atomic():
        return outbox.emit(instance_id=instance.pk, kind=Kind.MESSAGE, body=b"{}")


def attempt_of(hook: Hook, **fields: Any) -> Attempt:
    return Attempt.objects.create(
        hook=hook, number=1, started_at=timezone.now(), url="http://a.example/", outcome=Outcome.OK, **fields
    )


def suffixes(table: str) -> list[str]:
    with connection.cursor() as cursor:
        return [partition.suffix for partition in partitions.existing(cursor, table)]


def test_hooks_of_before_stay_where_they_are_and_are_dropped_by_age() -> None:
    instance = InstanceFactory(url="http://127.0.0.1:9/hook")
    migrate(WITHOUT_PARTITIONS)
    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE hooks_hook_id_seq RESTART WITH 1")
    first, second = emit_as_before(instance), emit_as_before(instance)
    assert (first.pk, second.pk) == (1, 2)
    attempt_of(first)

    migrate()
    for table in partitions.TABLES:
        assert suffixes(table)[0] == "before"
        assert len(suffixes(table)) > 1
    third = emit(instance)
    assert third.pk >= first_id(today()) > LEGACY_END
    newer = attempt_of(third)
    assert list(Hook.objects.order_by("pk")) == [first, second, third]
    assert list(Attempt.objects.order_by("pk")) == [first.attempts.get(), newer]

    long_ago = timezone.now() - timedelta(days=100)
    done = {"state": State.DELIVERED, "created_at": long_ago, "finished_at": long_ago}
    Hook.objects.filter(pk=first.pk).update(**done)
    assert retention.drop_old().startswith("1 hooks, ")  # one of two: in portions
    assert list(Hook.objects.order_by("pk")) == [second, third]
    Hook.objects.filter(pk=second.pk).update(**done)
    assert retention.drop_old().startswith("1 hooks, ")
    assert suffixes("hooks_hook")[0] != "before"
    assert {conservation.missing(row) for row in conservation.totals()} == {0}


def test_partitions_can_be_undone_and_made_again() -> None:
    instance = InstanceFactory(url="http://127.0.0.1:9/hook")
    before = emit(instance)
    kept = attempt_of(before)

    migrate(WITHOUT_PARTITIONS)
    assert Hook.objects.get() == before
    assert Attempt.objects.get() == kept
    between = emit_as_before(instance)
    assert between.pk == before.pk + 1
    with pytest.raises(IntegrityError), transaction.atomic():
        Hook.objects.filter(pk=between.pk).update(public_id=before.public_id)

    migrate()
    after = emit(instance)
    assert after.pk == between.pk + 1
    assert list(Hook.objects.order_by("pk")) == [before, between, after]
    assert suffixes("hooks_hook")[0] == "before"
