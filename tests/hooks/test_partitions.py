"""Partitions of hooks and attempts: made ahead, begun day by day, dropped with all their hooks; and how they came."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from django.db import ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from hooks import outbox
from hooks.actions.hooks import resend
from hooks.dispatch import due_lanes
from hooks.log import delays
from hooks.maintenance import conservation, new_days, old_partitions, retention
from hooks.models import Attempt, DroppedPartition, EmittedCount, Endpoint, Hook, Kind, Outcome, State, Tally
from hooks.sql import partitions
from hooks.sql.partitions import Partition, first_id
from tests.factories import InstanceFactory
from tests.threads import plain_session

TODAY = partitions.today()
LONG_AGO = TODAY - timedelta(days=100)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def endpoint() -> Endpoint:
    return InstanceFactory(url="http://a.example/").endpoint


@pytest.fixture(autouse=True)
def same_partitions() -> Iterator[None]:
    """Drops the partitions that the test made."""
    before = found()
    yield
    with connection.cursor() as cursor:
        for partition in found():
            if partition not in before:
                for table in partitions.TABLES:
                    cursor.execute(f"DROP TABLE {partition.of(table)}")


def found() -> list[Partition]:
    with connection.cursor() as cursor:
        return partitions.existing(cursor)


def make(start: date, days: int) -> Partition:
    with transaction.atomic(), connection.cursor() as cursor:
        partitions.make(cursor, start, start + timedelta(days=days))
    return next(made for made in found() if made.start == first_id(start))


def last_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value FROM hooks_hook_id_seq")
        value: int = cursor.fetchone()[0]
    return value


def emit(endpoint: Endpoint, number: int = 1) -> list[Hook]:
    with transaction.atomic():
        return outbox.emit_all(endpoint.pk, [outbox.Event(Kind.MESSAGE, b"{}")] * number)


def old_hooks(
    endpoint: Endpoint, number: int, partition: Partition, state: State = State.DELIVERED
) -> list[int]:
    """Creates hooks with an attempt in this partition; returns their keys."""
    then = timezone.now() - timedelta(days=100)
    keys = []
    for place, hook in enumerate(emit(endpoint, number)):
        finished = then if state == State.DELIVERED else None
        Hook.objects.filter(pk=hook.pk).update(
            id=partition.start + place, created_at=then, state=state, finished_at=finished,
            next_attempt_at=then if state == State.RETRYING else None,
        )  # fmt: skip
        keys.append(partition.start + place)
        Attempt.objects.create(
            hook_id=keys[-1],
            number=1,
            started_at=then,
            url="http://a.example/",
            outcome=Outcome.OK,
            status=200,
        )
    return keys


def tables_of(partition: Partition) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname = ANY(%s)",
            [[partition.of(table) for table in partitions.TABLES]],
        )
        return [row[0] for row in cursor.fetchall()]


def is_conserved() -> bool:
    return {conservation.missing(row) for row in conservation.consistent_totals()} == {0}


def test_a_new_database_has_partitions_for_the_coming_week_and_ids_of_today(endpoint: Endpoint) -> None:
    last = found()[-1]
    assert last.ends_on > TODAY + timedelta(days=partitions.DAYS_AHEAD)
    assert [one.end for one in found()[:-1]] == [one.start for one in found()[1:]]
    [hook] = emit(endpoint)
    assert hook.pk >= first_id(TODAY)
    assert new_days.prepare() == "0 partitions made"


def test_partitions_are_made_ahead_and_both_tables_have_them(settings: Settings) -> None:
    settings.HOOKS_KEEP_DAYS = 15
    later = found()[-1].ends_on + timedelta(days=10)
    with transaction.atomic(), connection.cursor() as cursor:
        made = partitions.make_ahead(cursor, later, new_days.length())
    new = [one for one in found() if one.start >= first_id(later)]
    assert [(one.ends_on - later).days for one in new] == [3, 6, 9]
    assert made == 3
    with connection.cursor() as cursor:
        assert partitions.existing(cursor, "hooks_attempt") == found()


@pytest.mark.parametrize(("keep", "days"), [(1, 1), (5, 1), (30, 6), (365, 73)])
def test_the_time_that_hooks_are_kept_is_divided_into_five(settings: Settings, keep: int, days: int) -> None:
    settings.HOOKS_KEEP_DAYS = keep
    assert new_days.length() == days


def test_the_sequence_moves_when_a_day_begins_never_back_and_never_beyond_partitions(
    endpoint: Endpoint,
) -> None:
    [before] = emit(endpoint)
    with transaction.atomic(), connection.cursor() as cursor:
        assert not partitions.start_day(cursor, TODAY)  # it has begun
        assert not partitions.start_day(cursor, TODAY - timedelta(days=3))
        assert not partitions.start_day(cursor, TODAY + timedelta(days=4000))
    [same_day] = emit(endpoint)
    assert same_day.pk == before.pk + 1
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            assert partitions.start_day(cursor, TODAY + timedelta(days=1))
        [next_day] = emit(endpoint)
        assert next_day.pk == first_id(TODAY + timedelta(days=1))
        assert list(Hook.objects.order_by("pk")) == [before, same_day, next_day]
    finally:
        Hook.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval('hooks_hook_id_seq', %s)", [same_day.pk])


def test_an_old_partition_is_dropped_with_its_hooks_and_attempts(endpoint: Endpoint) -> None:
    other = InstanceFactory(url="http://b.example/").endpoint
    partition = make(LONG_AGO, 6)
    old_hooks(endpoint, 3, partition)
    Hook.objects.filter(endpoint=endpoint).update(endpoint=other)
    EmittedCount.objects.update(endpoint_id=other.pk)
    [young] = emit(endpoint)
    assert retention.drop_old().startswith("3 hooks, ")
    assert tables_of(partition) == []
    assert (Hook.objects.get(), Attempt.objects.count()) == (young, 0)
    assert Tally.objects.get(pk=other.pk).dropped == 3
    assert not DroppedPartition.objects.exists()
    assert is_conserved()


def test_of_a_partition_with_a_waiting_hook_the_others_are_deleted(endpoint: Endpoint) -> None:
    partition = make(LONG_AGO, 6)
    [waiting] = old_hooks(endpoint, 1, partition, State.RETRYING)
    for place in (1, 2):
        [hook] = emit(endpoint)
        then = timezone.now() - timedelta(days=100)
        Hook.objects.filter(pk=hook.pk).update(
            id=partition.start + place, created_at=then, finished_at=then, state=State.DELIVERED
        )
    assert retention.drop_old().startswith("2 hooks, ")
    assert list(Hook.objects.values_list("pk", flat=True)) == [waiting]
    assert is_conserved()
    Hook.objects.update(state=State.FAILED, next_attempt_at=None, finished_at=timezone.now())
    assert retention.drop_old().startswith("1 hooks, ")
    assert tables_of(partition) == []
    assert is_conserved()


def test_a_partition_with_a_young_hook_stays(endpoint: Endpoint) -> None:
    """The day after it began late: no task ran for some days."""
    partition = make(LONG_AGO, 6)
    old_hooks(endpoint, 2, partition)
    Hook.objects.filter(pk=partition.start + 1).update(created_at=timezone.now() - timedelta(days=29))
    retention.drop_old()
    assert Hook.objects.filter(pk=partition.start + 1).exists()
    assert is_conserved()


@pytest.mark.parametrize("dies_in", ["detach", "finish"])
def test_a_run_that_died_is_continued(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    partition = make(LONG_AGO, 6)
    old_hooks(endpoint, 3, partition)

    class Died(Exception):
        pass

    def die(*_: Any) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(old_partitions, dies_in, die)
        with pytest.raises(Died):
            retention.drop_old()
    assert is_conserved()
    retention.drop_old()
    assert tables_of(partition) == []
    assert Tally.objects.get(pk=endpoint.pk).dropped == 3
    assert is_conserved()


def bounds_of(execute: Callable[..., Any]) -> tuple[int, int]:
    bounds = partitions.waiting_bounds(execute)
    return bounds["from"], bounds["to"]


def test_only_partitions_with_waiting_hooks_are_looked_at(endpoint: Endpoint) -> None:
    first, second, third = (make(LONG_AGO + timedelta(days=7 * place), 7) for place in range(3))
    old_hooks(endpoint, 2, first)
    with plain_session() as session:
        lowest, highest = bounds_of(session.execute)
        assert lowest > highest  # no id
        old_hooks(endpoint, 1, second, State.RETRYING)
        assert bounds_of(session.execute) == (second.start, second.end - 1)
        assert due_lanes.due_lanes(session) == [endpoint.pk]
        old_hooks(endpoint, 1, third, State.QUEUED)
        assert bounds_of(session.execute) == (second.start, third.end - 1)
        with CaptureQueriesContext(connection) as captured:
            assert delays.waiting_bounds() == {"from": second.start, "to": third.end - 1}
        assert len(captured) == 2


@pytest.mark.parametrize("by_django", [False, True])
def test_a_partition_dropped_between_the_two_queries_hides_no_waiting_hook(
    endpoint: Endpoint, by_django: bool
) -> None:
    dropped, kept = (make(LONG_AGO + timedelta(days=7 * place), 7) for place in range(2))
    old_hooks(endpoint, 1, dropped)
    [waiting] = old_hooks(endpoint, 1, kept, State.RETRYING)
    with plain_session() as session, connection.cursor() as cursor:

        def execute(sql: str, parameters: Any = None) -> Any:
            if sql != partitions.PARTITIONS:
                with connection.cursor() as another:
                    for table in partitions.TABLES:
                        another.execute(f"DROP TABLE IF EXISTS {dropped.of(table)}")
            if not by_django:
                return session.execute(sql, parameters)
            cursor.execute(sql, parameters)
            return cursor

        lowest, highest = bounds_of(execute)
    assert dropped not in found()
    assert lowest <= waiting <= highest


@pytest.mark.parametrize("by_django", [False, True])
def test_another_error_of_that_query_is_raised(by_django: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "WAITS", "{table} and {state} are no condition")
    with plain_session() as session, pytest.raises((ProgrammingError, psycopg.errors.SyntaxError)):
        delays.waiting_bounds() if by_django else partitions.waiting_bounds(session.execute)


def test_a_hook_resent_while_its_partition_is_dropped_stays(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition = make(LONG_AGO, 6)
    [key] = old_hooks(endpoint, 1, partition)
    detach = old_partitions.detach

    def resent_before(*arguments: Any) -> bool:
        resend(Hook.objects.get(pk=key), acting_user=None)
        return detach(*arguments)

    monkeypatch.setattr(old_partitions, "detach", resent_before)
    assert old_partitions.drop(timezone.now()) == 0
    assert Hook.objects.get().state in (State.QUEUED, State.RETRYING)
    assert not DroppedPartition.objects.exists()
    assert is_conserved()


def test_a_session_that_holds_the_table_stops_the_drop_and_nobody_else(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_partitions, "TRIES", 2)
    partition = make(LONG_AGO, 6)
    old_hooks(endpoint, 2, partition)
    with plain_session() as idle:
        idle.execute("SELECT count(*) FROM hooks_hook")  # its transaction stays open
        assert old_partitions.drop(timezone.now()) == 0
        assert Hook.objects.count() == 2
        emit(endpoint)
        idle.rollback()
    assert old_partitions.drop(timezone.now()) == 2
    assert is_conserved()
