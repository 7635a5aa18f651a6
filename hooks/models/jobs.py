"""Redelivery jobs, and the progress of retention: they work in portions."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.expressions import RawSQL
from django.utils import timezone

from hooks.models.choices import OPEN_JOBS, UNFINISHED, JobState, State
from hooks.models.endpoints import Endpoint
from hooks.models.hooks import new_public_id

# One probe for each state, of the index hooks_hook_redelivery, in one subquery: it is planned for every partition.
STATES_OF_HOOKS = """
ARRAY(SELECT one.state FROM unnest(%s::text[]) AS one (state) WHERE EXISTS (
    SELECT FROM hooks_hook h WHERE h.redelivery_id = hooks_redelivery.id AND h.state = one.state
))
"""


class RedeliveryQuerySet(models.QuerySet["Redelivery"]):
    def of_instances(self, instances: models.QuerySet[Any]) -> RedeliveryQuerySet:
        """Returns the jobs on hooks of these instances; pages and REST pass `Instance.objects.visible_to(user)`."""
        parts = RedeliveryPart.objects.filter(
            endpoint_id__in=Endpoint.objects.of_instances(instances).values("pk")
        )
        return self.filter(pk__in=parts.values("job_id"))

    def with_totals(self) -> RedeliveryQuerySet:
        """Annotates each job with `done` and `refused`, the sums over its parts."""
        return self.annotate(done=models.Sum("parts__done"), refused=models.Sum("parts__refused"))

    def with_results(self) -> RedeliveryQuerySet:
        """Annotates each job with `states_of_hooks`, a list of the states that any of its hooks has, for `result`."""
        states = RawSQL(STATES_OF_HOOKS, (State.values,), output_field=ArrayField(models.CharField()))
        return self.annotate(states_of_hooks=states)


class Redelivery(models.Model):
    """A job that resends finished hooks: its filter, the number of hooks, and its progress.

    hooks/actions/redelivery.py resends them in portions. The transaction of a portion also advances the cursor of its
    part, so a process that dies in between loses no hook and resends none twice.
    """

    public_id = models.UUIDField(unique=True, default=new_public_id, editable=False)
    filter = models.JSONField(default=dict)  # of hooks/log/selection.py
    state = models.CharField(max_length=10, choices=JobState, default=JobState.PLANNED)
    up_to = models.BigIntegerField("newest hook included")
    planned = models.PositiveIntegerField("hooks counted at creation")
    # more than MAX_COUNT: `planned` is a minimum until the job has counted them
    planned_is_minimum = models.BooleanField(default=False, db_default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = RedeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "redeliveries"
        indexes = [
            # open jobs
            models.Index(
                name="hooks_redelivery_open",
                fields=["id"],
                condition=models.Q(state__in=(JobState.PLANNED, JobState.RUNNING)),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="hooks_redelivery_state", condition=models.Q(state__in=JobState.values)
            ),
            models.CheckConstraint(
                name="hooks_redelivery_finished",
                condition=models.Q(state__in=OPEN_JOBS) ^ models.Q(finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"redelivery {self.public_id.hex}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_JOBS

    @property
    def result(self) -> str:
        """The state, or of a finished job the result of its hooks: delivering, all_failed, some_failed, none_resent.

        Requires with_totals(), and with_results() for finished jobs.
        """
        job: Any = self
        if job.state != JobState.FINISHED:
            return job.state
        if not job.done:
            return "none_resent" if job.planned else job.state
        states = set(job.states_of_hooks)
        if states.intersection(UNFINISHED):
            return "delivering"
        if State.FAILED in states:
            return "some_failed" if State.DELIVERED in states else "all_failed"
        return job.state


class RedeliveryPart(models.Model):
    """The hooks of one endpoint in a job: a slow or paused lane does not delay the others."""

    job = models.ForeignKey(Redelivery, models.CASCADE, related_name="parts")
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="+")
    cursor = models.BigIntegerField("last hook examined", default=0)
    done = models.PositiveIntegerField("hooks resent", default=0)
    refused = models.PositiveIntegerField("hooks not resent", default=0)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="hooks_redeliverypart_once", fields=["job", "endpoint"]),
        ]

    def __str__(self) -> str:
        return f"{self.done} of endpoint {self.endpoint_id}"


class RetentionMark(models.Model):
    """Up to which hook bodies have been dropped; one row. See hooks/maintenance/retention.py."""

    id: Any = models.PositiveSmallIntegerField(primary_key=True, default=1)
    bodies_up_to = models.BigIntegerField("newest hook examined", default=0)
    began_at = models.DateTimeField("started with the oldest hook", default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(name="hooks_retentionmark_one", condition=models.Q(id=1))]

    def __str__(self) -> str:
        return f"bodies dropped up to {self.bodies_up_to}"


class DroppedPartition(models.Model):
    """A partition that retention is about to drop, or has dropped (`at`) without having changed all tallies yet.

    See hooks/maintenance/old_partitions.py.
    """

    name = models.CharField(max_length=20, unique=True)
    at = models.DateTimeField("dropped at", null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class DroppedCount(models.Model):
    """How many hooks of one endpoint are in a DroppedPartition: after the drop they count like Tally.dropped."""

    partition = models.ForeignKey(DroppedPartition, models.CASCADE, related_name="counts")
    # no constraint: the endpoint may have been deleted
    endpoint_id = models.BigIntegerField()
    number = models.PositiveIntegerField("hooks dropped")

    class Meta:
        constraints = [
            models.UniqueConstraint(name="hooks_droppedcount_once", fields=["partition", "endpoint_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.number} of endpoint {self.endpoint_id}"
