"""Recurring tasks of django-q2: settings.SCHEDULES, written into its table when the worker starts."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django_q.models import Schedule


def write_schedules() -> None:
    """Create or update the rows of the settings. Other rows were added by an administrator and are kept."""
    for name, (task, minutes) in settings.SCHEDULES.items():
        Schedule.objects.update_or_create(
            name=name,
            defaults={"func": task, "schedule_type": Schedule.MINUTES, "minutes": minutes, "repeats": -1},
        )


def correct_schedules() -> int:
    """Make tasks due that are planned for later than one interval from now; returns how many. One query per interval.

    The machine's clock was wrong and was set back: django-q2 would wait until it is that late again.
    """
    now, corrected = timezone.now(), 0
    for minutes in {minutes for _, minutes in settings.SCHEDULES.values()}:
        late = now + timedelta(minutes=minutes, seconds=30)
        corrected += Schedule.objects.filter(
            name__in=settings.SCHEDULES, minutes=minutes, next_run__gt=late
        ).update(next_run=now)
    return corrected
