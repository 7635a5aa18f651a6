"""Hooks that are emitted are counted exactly, also while their counts are added up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from django.db import connection, transaction

from hooks import tallies, worker_slots
from hooks.maintenance.conservation import missing, totals
from hooks.models import EmittedCount, Endpoint, Hook, Kind, SkipReason, Tally
from hooks.outbox import Event, emit_all
from instances.actions.lifecycle import delete_instance
from tests.factories import InstanceFactory


def emit(endpoint: Endpoint, number: int = 1, skip: SkipReason | None = None) -> None:
    with transaction.atomic():
        emit_all(endpoint.pk, [Event(Kind.MESSAGE, b"{}", skip=skip) for _ in range(number)])


def counted(endpoint: Endpoint) -> tuple[int, int]:
    tally = Tally.objects.get(pk=endpoint.pk)
    return tally.emitted, tally.skipped


@pytest.mark.django_db
def test_counts_are_added_to_the_tallies_once(endpoint: Endpoint) -> None:
    other, idle = (InstanceFactory(url="http://b.example/").endpoint for _ in range(2))
    for number in (1, 2, 3):
        emit(endpoint, number)
    emit(other, 4, SkipReason.FLAG_OFF)
    for _ in range(2):
        expected = {endpoint.pk: 6, other.pk: 4, idle.pk: 0}
        assert tallies.emitted(expected) == expected
        assert tallies.totals() == (1, 10, 4, 0)
        assert {missing(row) for row in totals()} == {0}
        tallies.add_up()
        assert not EmittedCount.objects.exists()
    assert [counted(one) for one in (endpoint, other, idle)] == [(6, 0), (4, 4), (0, 0)]


@pytest.mark.django_db
def test_more_endpoints_than_one_transaction_changes(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallies, "TALLIES", 2)
    endpoints = [endpoint, *(InstanceFactory(url="http://b.example/").endpoint for _ in range(4))]
    for number, one in enumerate(endpoints, start=1):
        emit(one, number)
    assert tallies.add_up() == "counts of 5 of 5 endpoints added to their tallies"
    assert [counted(one) for one in endpoints] == [(number, 0) for number in range(1, 6)]


@pytest.mark.django_db
def test_the_totals_of_a_deleted_instance_are_kept(endpoint: Endpoint) -> None:
    from hooks.metrics import snapshot

    emit(endpoint, 3)
    tallies.add_up()
    emit(endpoint, 2, SkipReason.FLAG_OFF)
    delete_instance(endpoint.instance, acting_user=None)
    for _ in range(2):
        found = snapshot()
        assert (found.emitted, found.finished["skipped"], found.endpoints) == (5, 2, 0)
        tallies.add_up()
    assert not EmittedCount.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_event_that_is_not_committed_yet_delays_neither_the_run_nor_other_events(
    endpoint: Endpoint,
) -> None:
    """Its endpoint's counts are left for the next run, in one row. A count that is rolled back is never seen."""
    other = InstanceFactory(url="http://b.example/").endpoint
    for one in (endpoint, endpoint, other):
        emit(one)
    with worker_slots.connect() as session:
        session.execute("BEGIN")
        session.execute(
            "SELECT FROM hooks_tally WHERE endpoint_id = %s FOR NO KEY UPDATE", [endpoint.pk]
        )  # as an event does
        session.execute(
            "INSERT INTO hooks_emittedcount (endpoint_id, emitted, skipped) VALUES (%s, 5, 5)", [endpoint.pk]
        )
        assert tallies.add_up() == "counts of 1 of 2 endpoints added to their tallies"
        assert (counted(endpoint), counted(other)) == ((0, 0), (1, 0))
        assert list(EmittedCount.objects.values_list("emitted", "skipped")) == [(2, 0)]
        emit(other)
        session.execute("ROLLBACK")
    tallies.add_up()
    assert (counted(endpoint), counted(other)) == ((2, 0), (2, 0))


@pytest.mark.django_db(transaction=True)
def test_events_readers_and_two_runs_at_once(endpoint: Endpoint) -> None:
    endpoints = [endpoint, *(InstanceFactory(url="http://b.example/").endpoint for _ in range(2))]
    ended = threading.Event()
    seen: list[tuple[int, int]] = []

    def emit_to_all() -> None:
        for _ in range(30):
            for one in endpoints:
                emit(one)

    def add_up() -> None:
        while not ended.is_set():
            tallies.add_up()

    def read() -> None:
        """A count is never seen twice, nor lost for a moment."""
        while not (seen and ended.is_set()):
            before = Hook.objects.count()
            found = tallies.totals().emitted
            seen.append((found - before, Hook.objects.count() - found))

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            connection.close()

    with ThreadPoolExecutor() as threads:
        writers = [threads.submit(run, emit_to_all) for _ in range(2)]
        others = [threads.submit(run, work) for work in (add_up, add_up, read)]
        wait(writers)
        ended.set()
    for future in (*writers, *others):
        future.result()
    assert seen
    assert {less >= 0 and more >= 0 for less, more in seen} == {True}
    assert {missing(row) for row in totals()} == {0}
    tallies.add_up()
    assert [counted(one) for one in endpoints] == [(60, 0)] * 3
    assert not EmittedCount.objects.exists()


@pytest.mark.django_db
def test_a_run_beside_another_one_does_nothing(endpoint: Endpoint) -> None:
    emit(endpoint)
    with worker_slots.connect() as session:
        session.execute("SELECT pg_advisory_lock(%s)", [tallies.ADD_UP_LOCK])
        assert tallies.add_up() == "another run is adding up"
        # not left to the end of the session, which may be later than the next test
        session.execute("SELECT pg_advisory_unlock(%s)", [tallies.ADD_UP_LOCK])
    assert EmittedCount.objects.count() == 1
