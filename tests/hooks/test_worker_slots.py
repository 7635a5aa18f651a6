"""Slots of endless tasks: which runs count as alive, and what is requested for those that are missing."""

from collections.abc import Iterator

import pytest
from django_q.models import OrmQ

from hooks import tasks, worker_slots
from hooks.models import Role, Runner
from hooks.worker_slots import WorkerSlot, count_held_slots, ensure_running, hold_slot
from tests.hooks.dispatch.claiming import wait_until_unlocked

pytestmark = pytest.mark.django_db(transaction=True)

TASK = "hooks.tasks.dispatch"


@pytest.fixture(autouse=True)
def nothing_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_slots, "_requested_at", {})


@pytest.fixture
def run() -> Iterator[WorkerSlot]:
    with hold_slot(Role.DISPATCH, range(1)) as slot:
        assert slot
        yield slot


def requested() -> list[str]:
    return [row.func() for row in OrmQ.objects.all()]


def test_a_run_with_its_lock_and_a_heartbeat_is_alive(run: WorkerSlot) -> None:
    assert ensure_running(Role.DISPATCH, 1, TASK)
    assert requested() == []


def test_a_run_is_replaced_as_soon_as_its_session_has_ended(run: WorkerSlot) -> None:
    """As after kill -9 of its process: the heartbeat is recent, and the lock is free."""
    run.session.close()
    with worker_slots.connect() as session:
        wait_until_unlocked(session, run.id)
    assert not ensure_running(Role.DISPATCH, 1, TASK)
    assert requested() == [TASK]
    assert not ensure_running(Role.DISPATCH, 1, TASK)
    assert requested() == [TASK]  # not again at once


def test_a_run_that_hangs_is_not_alive_although_it_holds_its_lock(run: WorkerSlot) -> None:
    run.session.execute("UPDATE hooks_runner SET heartbeat_at = clock_timestamp() - interval '6 s'")
    assert not ensure_running(Role.DISPATCH, 1, TASK)


def test_only_the_slots_of_the_role_are_counted(run: WorkerSlot) -> None:
    other = worker_slots.connect()
    assert [count_held_slots(other, role, 1) for role in (Role.DISPATCH, Role.OUTGOING)] == [1, 0]
    assert worker_slots.try_slot(other, Role.DISPATCH, 1)
    assert [count_held_slots(other, Role.DISPATCH, slots) for slots in (1, 2)] == [1, 2]
    other.close()


def test_a_dispatcher_for_a_limited_time_requests_its_successor() -> None:
    assert tasks.dispatch(0.1) == "handed over"
    assert requested() == [TASK]
    assert Runner.objects.get().finished_at
