"""Runs of simulated hooks: one click sends several hooks."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from hooks.body_masking import MaskedBinaryField
from hooks.models import Kind
from instances.models import Instance


class Plan(models.TextChoices):
    """Which hooks a run sends, and in which order."""

    ONCE = "once", "Once"
    SEQUENCE = "sequence", "In sequence"
    BACKWARDS = "backwards", "Out of order"
    REPEAT = "repeat", "Repeated"
    DUPLICATES = "duplicates", "Duplicates"


class RunState(models.TextChoices):
    RUNNING = "running", "Running"
    FINISHED = "finished", "Finished"
    CANCELLED = "cancelled", "Cancelled"


class SimulationRun(models.Model):
    """Several simulated hooks. The page that shows the run sends them one after the other, a few per request."""

    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="simulation_runs")
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    plan = models.CharField(max_length=10, choices=Plan)
    to_url = models.CharField(max_length=2000)
    pause = models.FloatField("seconds between hooks", default=0)
    state = models.CharField(max_length=10, choices=RunState, default=RunState.RUNNING)
    next_at = models.DateTimeField("when the next hook is due", default=timezone.now)
    # Until this time one request is sending a hook, and no other request may send one.
    busy_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"run {self.public_id}"


class SimulationStep(models.Model):
    """One request of a run."""

    run = models.ForeignKey(SimulationRun, models.CASCADE, related_name="steps")
    number = models.PositiveSmallIntegerField()
    label = models.CharField(max_length=60)
    kind = models.CharField(max_length=10, choices=Kind)
    body = MaskedBinaryField()
    # The hook and its attempt; written before the request, so that it is known after the process was killed.
    hook = models.UUIDField("public id of the hook", null=True, blank=True)
    attempt = models.PositiveSmallIntegerField(default=1)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(name="testing_simulation_step", fields=["run", "number"]),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.label}"
