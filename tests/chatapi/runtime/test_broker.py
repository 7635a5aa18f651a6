"""The queues of tasks: which task is taken next, which is queued once, and tasks that an earlier version queued."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import F
from django.utils.module_loading import import_string
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from chatapi.runtime.broker import CLEAN_UP_LIMIT, PatientORM, with_current_path
from hooks import worker_slots
from hooks.models import Role
from hooks.worker_slots import MAX_QUEUED_TASKS
from tests.threads import results_in_threads

# Every path that a schedule or a queue of version 0.1.0 can contain.
PATHS_OF_0_1_0 = [
    "hooks.gone.drop",
    "hooks.retention.drop_old",
    "hooks.tasks.dispatch",
    "hooks.tasks.ensure_dispatchers",
    "hooks.tasks.ensure_redelivery",
    "hooks.tasks.redeliver",
    "instances.actions.media.drop_old",
    "instances.tasks.drop_old_statuses",
    "instances.tasks.ensure_outgoing",
    "instances.tasks.expire_codes",
    "instances.tasks.pause_failing",
    "instances.tasks.send_outgoing",
    "testing_tools.bins.drop_old_captures",
]


@pytest.mark.parametrize("path", PATHS_OF_0_1_0)
@pytest.mark.django_db
def test_a_task_of_0_1_0_names_a_function_that_exists(path: str) -> None:
    async_task(path, 7, task_name="old")
    [(_, payload)] = PatientORM(list_key="chatapi").dequeue() or []
    task = SignedPackage.loads(payload)
    assert callable(import_string(task["func"]))
    assert (task["name"], task["args"]) == ("old", (7,))
    assert OrmQ.objects.count() == 1


def test_each_new_path_and_each_schedule_is_a_function() -> None:
    paths = [*settings.RENAMED_TASKS.values(), *(path for path, _ in settings.SCHEDULES.values())]
    assert all(callable(import_string(path)) for path in paths)


def test_a_payload_with_a_wrong_signature_is_unchanged() -> None:
    assert with_current_path("not signed") == "not signed"


DISPATCH = "hooks.tasks.dispatch"
DROP_HOOKS = "hooks.maintenance.deleted_instances.drop"
DROP_DATA = "instances.actions.deleted_data.drop"
NOTICE = "accounts.notices.send_notice"


def taken() -> str | None:
    """Take the next task; returns the path of its function."""
    tasks = PatientORM(list_key="chatapi").dequeue()
    return SignedPackage.loads(tasks[0][1])["func"] if tasks else None


def finish(path: str) -> None:
    [row] = [row for row in OrmQ.objects.all() if row.task["func"] == path]
    PatientORM().acknowledge(row.pk)


def queued() -> list[str]:
    return [row.task["func"] for row in OrmQ.objects.order_by("pk")]


@pytest.mark.django_db
def test_a_dispatchers_task_is_taken_before_hundreds_of_others() -> None:
    for number in range(300):
        async_task(DROP_HOOKS)
        async_task(NOTICE, number)
    async_task(DISPATCH)
    assert [taken(), taken()] == [DISPATCH, NOTICE]


@pytest.mark.django_db
def test_others_are_taken_in_their_order_and_clean_up_is_last() -> None:
    async_task(DROP_HOOKS)
    for number in range(3):
        async_task(NOTICE, number)
    rows = [PatientORM().dequeue() or [] for _ in range(3)]
    assert [SignedPackage.loads(payload)["args"] for [(_, payload)] in rows] == [(0,), (1,), (2,)]
    assert taken() == DROP_HOOKS


@pytest.mark.django_db
def test_clean_up_is_queued_once_until_it_is_taken() -> None:
    for _ in range(100):
        async_task(DROP_HOOKS)
        async_task(DROP_DATA)
    assert queued() == [DROP_HOOKS, DROP_DATA]
    assert taken() == DROP_HOOKS
    async_task(DROP_HOOKS)  # what is deleted now may come too late for the run that was taken
    assert queued() == [DROP_HOOKS, DROP_DATA, DROP_HOOKS]


@pytest.mark.django_db
def test_one_clean_up_runs_at_a_time() -> None:
    async_task(DROP_HOOKS)
    async_task(DROP_DATA)
    assert [taken(), taken()] == [DROP_HOOKS, None]
    async_task(NOTICE)
    assert taken() == NOTICE
    finish(DROP_HOOKS)
    assert taken() == DROP_DATA


@pytest.mark.django_db
def test_clean_up_that_died_with_its_worker_does_not_hold_the_next_for_ever() -> None:
    async_task(DROP_HOOKS)
    async_task(DROP_DATA)
    assert taken() == DROP_HOOKS
    OrmQ.objects.filter(key__endswith=DROP_HOOKS).update(
        lock=F("lock") - CLEAN_UP_LIMIT - timedelta(seconds=1)
    )
    assert taken() == DROP_DATA


@pytest.mark.django_db(transaction=True)
def test_clean_up_is_not_taken_before_the_transaction_that_relies_on_it_ends() -> None:
    async_task(DROP_HOOKS)
    with transaction.atomic():
        async_task(DROP_HOOKS)
        assert queued() == [DROP_HOOKS]
        assert results_in_threads(lambda _: taken(), 1) == [None]
    assert taken() == DROP_HOOKS


@pytest.mark.django_db(transaction=True)
def test_loops_are_requested_and_taken_first_however_many_others_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_slots, "_requested_at", {})
    for number in range(MAX_QUEUED_TASKS * 3):
        async_task(NOTICE, number)
    results = [import_string(path)() for path in settings.WORKER_HEALTH_CHECKS]
    assert results[:2] == [False, False]
    assert all(results[2:])  # no redelivery is open, and nothing is received
    assert [taken(), taken(), taken()] == [DISPATCH, "instances.tasks.send_outgoing", NOTICE]


def test_the_urgent_tasks_are_the_endless_ones_the_checks_that_start_them_and_the_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of each role in hooks.worker_slots, and no other."""
    started: dict[str, str] = {}

    def note(role: str, slots: int, task: str) -> bool:
        started[role] = task
        return True

    monkeypatch.setattr(worker_slots, "ensure_running", note)
    monkeypatch.setattr("hooks.actions.redelivery.is_wanted", lambda: True)
    monkeypatch.setattr("instances.receiving.tasks.is_wanted", lambda: True)
    for path in settings.WORKER_HEALTH_CHECKS:
        import_string(path)()
    assert started.keys() == worker_slots.SLOT_LOCK.keys()
    assert {*started.values(), *settings.WORKER_HEALTH_CHECKS, "time.time"} == settings.URGENT_TASKS


def test_a_task_that_is_not_urgent_is_not_started_as_an_endless_one() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"time\.sleep must be one of URGENT_TASKS"):
        worker_slots.ensure_running(Role.DISPATCH, 1, "time.sleep")


def test_the_tasks_of_both_sets_are_functions() -> None:
    assert all(callable(import_string(path)) for path in settings.URGENT_TASKS | settings.CLEAN_UP_TASKS)
