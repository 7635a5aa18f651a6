"""Tasks that an earlier version queued run by their function's current path."""

import pytest
from django.conf import settings
from django.utils.module_loading import import_string
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from chatapi.runtime.broker import PatientORM, with_current_path

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
