"""Those who send: each run of an always-running task, and what they count."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone

from hooks.models.choices import Role


class Runner(models.Model):
    """One run of an always-running task: a dispatcher, or the loop of the outgoing queues.

    Its heartbeat is what /readyz and the worker's watchdog look at; see hooks/worker_slots.py.
    """

    id: Any = models.BigIntegerField(primary_key=True)  # random; also the key of its advisory lock
    role = models.CharField(max_length=10, choices=Role)
    slot = models.PositiveSmallIntegerField()
    pid = models.IntegerField()
    host = models.CharField(max_length=100)
    started_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    in_flight = models.PositiveIntegerField("requests under way", default=0, db_default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(name="hooks_runner_role", condition=models.Q(role__in=Role.values))
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} {self.slot} (pid {self.pid})"


class Measure(models.Model):
    """A number that dispatchers count and that only ever grows, one row a series and slot; see hooks/metrics.py."""

    slot = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40)
    label = models.CharField(max_length=20, blank=True)
    value = models.FloatField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(name="hooks_measure_series", fields=["slot", "name", "label"])]

    def __str__(self) -> str:
        return f"{self.name} {self.label}: {self.value}"
