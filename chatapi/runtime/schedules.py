"""What django-q2 does at regular times: settings.SCHEDULES, written into its table when the worker starts."""

from django.conf import settings
from django_q.models import Schedule


def write_schedules() -> None:
    """Makes the table say what the settings say; what stands in it beside that is somebody's own and stays."""
    for name, (task, minutes) in settings.SCHEDULES.items():
        Schedule.objects.update_or_create(
            name=name,
            defaults={"func": task, "schedule_type": Schedule.MINUTES, "minutes": minutes, "repeats": -1},
        )
