"""Counts of hooks that are kept as hooks finish, so that a chart of a million hooks reads some hundred rows."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils import timezone


class MinuteCount(models.Model):
    """How many of the hooks that one endpoint's events created in one minute are now delivered, and how many failed.

    hooks/log/statistics.py writes and reads it. It has no foreign key in the database: the hooks of a deleted endpoint
    and their counts are deleted by a task.
    """

    pk = models.CompositePrimaryKey("endpoint_id", "minute")
    endpoint_id = models.BigIntegerField()
    minute = models.DateTimeField("minute of the events")
    delivered = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)

    class Meta:
        # retention; rows are stored in order of age
        indexes = [BrinIndex(name="hooks_minutecount_minute", fields=["minute"], pages_per_range=32)]

    def __str__(self) -> str:
        return f"{self.delivered} delivered, {self.failed} failed"


class LoadSample(models.Model):
    """The load of the site in one minute, for the charts of the support desk; one row a minute, for a day.

    hooks/maintenance/load_samples.py writes it.
    """

    minute = models.DateTimeField(primary_key=True)
    waiting = models.IntegerField("hooks due")
    failing = models.IntegerField("failing endpoints")
    paused = models.IntegerField("paused endpoints")
    delivered = models.BigIntegerField("deliveries until then")  # since the first start of the site

    def __str__(self) -> str:
        return f"{self.waiting} waiting at {self.minute:%F %T}"


class CountingStart(models.Model):
    """Since when hooks are counted in MinuteCount; one row. Hooks of earlier events are counted in their own table."""

    id: Any = models.PositiveSmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(name="hooks_countingstart_one", condition=models.Q(id=1))]

    def __str__(self) -> str:
        return f"since {self.at:%F %T}"
