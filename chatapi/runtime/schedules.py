"""Recurring tasks of django-q2: settings.SCHEDULES, written into its table when the worker starts."""

from django.conf import settings
from django_q.models import Schedule


def write_schedules() -> None:
    """Create or update the rows of the settings. Other rows were added by an administrator and are kept."""
    for name, (task, minutes) in settings.SCHEDULES.items():
        Schedule.objects.update_or_create(
            name=name,
            defaults={"func": task, "schedule_type": Schedule.MINUTES, "minutes": minutes, "repeats": -1},
        )
