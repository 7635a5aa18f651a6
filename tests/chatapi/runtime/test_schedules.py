"""The tasks that are done at regular times."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.models import Schedule

from chatapi.runtime.schedules import correct_schedules, write_schedules

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


def test_a_task_that_a_wrong_clock_has_planned_is_due_at_once():
    write_schedules()
    now = timezone.now()
    Schedule.objects.update(next_run=now + timedelta(seconds=50))
    assert correct_schedules() == 0
    Schedule.objects.filter(name="dispatchers").update(next_run=now + timedelta(hours=1))
    assert correct_schedules() == 1
    assert Schedule.objects.get(name="dispatchers").next_run <= timezone.now()
