"""Issues: the failures of one endpoint that have the same cause, in one row from the first failure to the recovery.

hooks/maintenance/issues.py writes them once a minute, from the attempts that dispatchers record anyway.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from hooks.models.choices import Outcome
from hooks.models.endpoints import Endpoint
from hooks.models.hooks import new_public_id, parse_public_id


def parse_issue_id(text: str) -> UUID | None:
    """Returns an issue's public id, written as in REST and alerts or as a UUID; None for any other text."""
    return parse_public_id(text, "issue_")


class IssueState(models.TextChoices):
    OPEN = "open", "Open"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    RESOLVED = "resolved", "Resolved"


UNRESOLVED = (IssueState.OPEN, IssueState.ACKNOWLEDGED)
# The outcomes whose status code is a part of the cause: 404 and 500 have different fixes.
CAUSE_HAS_STATUS = (Outcome.NOT_200, Outcome.REDIRECT)


class IssueQuerySet(models.QuerySet["Issue"]):
    def of_instances(self, instances: models.QuerySet[Any]) -> IssueQuerySet:
        """Returns the issues of these instances; pages and REST pass `Instance.objects.visible_to(user)`.

        Those of removed endpoints are left out.
        """
        endpoints = Endpoint.objects.present().of_instances(instances).order_by()
        return self.filter(endpoint__in=endpoints.values("pk"))

    def unresolved(self) -> IssueQuerySet:
        return self.filter(state__in=UNRESOLVED)


class Issue(models.Model):
    """The failures of an endpoint with one cause. `hooks` counts those that failed with it, up to MAX_COUNT + 1."""

    public_id = models.UUIDField(unique=True, default=new_public_id, editable=False)
    # No constraints: code of the last release deletes endpoints and users without knowing issues. A task deletes the
    # issues of deleted endpoints.
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="issues", db_constraint=False)
    outcome = models.CharField(max_length=10, choices=Outcome)
    # 0: it is not a part of the cause, or the endpoint responds with many different ones
    status = models.PositiveSmallIntegerField("status code", default=0)
    state = models.CharField(max_length=12, choices=IssueState, default=IssueState.OPEN)
    first_failed_at = models.DateTimeField("first failed attempt")
    last_failed_at = models.DateTimeField("last failed attempt")
    first_hook = models.BigIntegerField("oldest hook that failed")
    events_since = models.DateTimeField("event of the oldest hook that failed")
    last_attempt = models.BigIntegerField("newest failed attempt")  # whose verdict is shown
    hooks = models.PositiveIntegerField("hooks that failed", default=0)
    opened_at = models.DateTimeField()  # the last time: an issue that comes back is opened again
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
    )
    resolved_at = models.DateTimeField(null=True, blank=True)
    # the last state that the account's owner was mailed, and the mails of an hour; instances/maintenance/issue_mails.py
    mailed_state = models.CharField(max_length=12, blank=True, default="", db_default="")
    mails_at = ArrayField(models.DateTimeField(), default=list, db_default=[], blank=True)
    mailing_at = models.DateTimeField("being mailed since", null=True, blank=True)
    # the last state that the account's alert webhook was sent; instances/maintenance/alert_webhook.py
    alerted_state = models.CharField(max_length=12, blank=True, default="", db_default="")

    objects = IssueQuerySet.as_manager()

    class Meta:
        indexes = [
            # the number in the menu, and the issues that may be resolved; few rows
            models.Index(
                name="hooks_issue_unresolved",
                fields=["endpoint"],
                condition=models.Q(state__in=UNRESOLVED),
            ),
            # retention
            models.Index(name="hooks_issue_last_failed", fields=["last_failed_at"]),
        ]
        constraints = [
            models.UniqueConstraint(
                name="hooks_issue_one_unresolved",
                fields=["endpoint", "outcome", "status"],
                condition=models.Q(state__in=UNRESOLVED),
            ),
            models.CheckConstraint(name="hooks_issue_state", condition=models.Q(state__in=IssueState.values)),
            models.CheckConstraint(
                name="hooks_issue_resolved",
                condition=models.Q(state=IssueState.RESOLVED) ^ models.Q(resolved_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"issue {self.public_id.hex}"

    @property
    def is_resolved(self) -> bool:
        return self.state == IssueState.RESOLVED


class IssueMark(models.Model):
    """Up to which attempts issues have been counted; one row. See hooks/maintenance/issues.py."""

    id: Any = models.PositiveSmallIntegerField(primary_key=True, default=1)
    # Attempts up to here are counted. Those up to `newest` are read again: one may have been committed late.
    counted_up_to = models.BigIntegerField("newest attempt of the run before the last")
    newest = models.BigIntegerField("newest attempt of the last run")
    # attempts up to `newest` are all committed when no transaction before this one runs any more
    begun = models.BigIntegerField("first transaction that had not begun then", default=0, db_default=0)

    class Meta:
        constraints = [models.CheckConstraint(name="hooks_issuemark_one", condition=models.Q(id=1))]

    def __str__(self) -> str:
        return f"counted up to attempt {self.counted_up_to}"
