"""The runs of tasks that never end (dispatcher, sender, redelivery), and the counters that they write."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from hooks.models.choices import Role

DEAD_AFTER = timedelta(seconds=10)  # without a heartbeat; runs write one every second

# By the database's clock, which wrote the heartbeat: another may be wrong.
HEARTBEAT_AGE = models.ExpressionWrapper(Now() - models.F("heartbeat_at"), models.DurationField())


def is_alive(heartbeat_age: timedelta | None) -> bool:
    """Returns whether a run whose last heartbeat is that old counts as alive; False for None (no run)."""
    return heartbeat_age is not None and heartbeat_age < DEAD_AFTER


class RunnerQuerySet(models.QuerySet["Runner"]):
    def unfinished(self, role: Role) -> RunnerQuerySet:
        """Returns the runs of a role that have not ended regularly: those that are alive, and those that died."""
        return self.filter(role=role, finished_at=None)

    def heartbeat_age(self, role: Role) -> timedelta | None:
        """Returns the age of the newest heartbeat of the role's runs; None if it has none. Pass it to is_alive()."""
        runs = self.unfinished(role).annotate(heartbeat_age=HEARTBEAT_AGE).order_by("heartbeat_age")
        return runs.values_list("heartbeat_age", flat=True).first()


class Runner(models.Model):
    """One run of an endless task: dispatcher, sender or redelivery; see hooks/worker_slots.py.

    /readyz and the worker's watchdog read its heartbeat.
    """

    id: Any = models.BigIntegerField(primary_key=True)  # random; also the key of its advisory lock
    role = models.CharField(max_length=10, choices=Role)
    slot = models.PositiveSmallIntegerField()
    pid = models.IntegerField()
    host = models.CharField(max_length=100)
    started_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    in_flight = models.PositiveIntegerField("requests in flight", default=0, db_default=0)

    objects = RunnerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(name="hooks_runner_role", condition=models.Q(role__in=Role.values))
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} {self.slot} (pid {self.pid})"


class Measure(models.Model):
    """A counter of a dispatcher, which only grows: one row per series and slot. See hooks/metrics.py."""

    slot = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40)
    label = models.CharField(max_length=20, blank=True)
    value = models.FloatField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(name="hooks_measure_series", fields=["slot", "name", "label"])]

    def __str__(self) -> str:
        return f"{self.name} {self.label}: {self.value}"
