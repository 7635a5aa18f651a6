"""Writes the load of the site once a minute, for the charts of the support desk."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from hooks.metrics import current_load
from hooks.models import LoadSample

KEPT = timedelta(days=1)


def record() -> str:
    """Write the sample of this minute, and delete those that are older than a day; returns a summary.

    A second run in the same minute replaces the sample.
    """
    now = timezone.now()
    load = current_load()
    LoadSample.objects.update_or_create(minute=now.replace(second=0, microsecond=0), defaults=load._asdict())
    dropped, _ = LoadSample.objects.filter(minute__lt=now - KEPT).delete()
    return f"{load.waiting} waiting, {dropped} dropped"
