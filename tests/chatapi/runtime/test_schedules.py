"""The tasks that are done at regular times."""

import pytest
from django.conf import settings
from django.utils.module_loading import import_string
from django_q.models import Schedule

from chatapi.runtime.schedules import write_schedules

pytestmark = pytest.mark.django_db


def test_every_task_of_the_settings_stands_in_the_table_once():
    write_schedules()
    write_schedules()
    found = {row.name: (row.func, row.minutes) for row in Schedule.objects.all()}
    assert found == settings.SCHEDULES


def test_what_somebody_else_has_scheduled_stays():
    Schedule.objects.create(name="mine", func="time.time", schedule_type=Schedule.DAILY)
    write_schedules()
    assert Schedule.objects.get(name="mine").func == "time.time"


@pytest.mark.parametrize("task", sorted({task for task, _ in settings.SCHEDULES.values()}))
def test_each_of_them_can_be_called(task: str):
    assert callable(import_string(task))
