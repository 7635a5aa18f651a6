"""The alert webhook of an account: where it goes, and the alerts about issues with their attempts.

It is not an endpoint: it belongs to no instance, gets no hooks, and is not sent by dispatchers. So an alert neither
waits for a customer's hooks nor delays them, and its failures are no issues.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.utils import timezone

from accounts.audit import AuditSubject
from accounts.models import Account
from chatapi.encryption.fields import EncryptedTextField
from hooks.models import new_public_id, new_secret


class AlertWebhook(models.Model):
    """The URL that gets the alerts of an account, and its signing secrets."""

    # No constraint: code of the last release deletes accounts without knowing this table. The task that sends alerts
    # deletes the webhooks of deleted accounts.
    account: Any = models.OneToOneField(
        Account, models.CASCADE, primary_key=True, related_name="alert_webhook", db_constraint=False
    )
    url = models.CharField("URL", max_length=2000)
    secret = EncryptedTextField("signing secret", bound_to="account_id", default=new_secret)
    # After a rotation, alerts are also signed with this secret until then.
    previous_secret = EncryptedTextField(
        "previous signing secret", bound_to="account_id", blank=True, default=""
    )
    previous_secret_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="instances_alertwebhook_previous_secret",
                condition=models.Q(previous_secret="", previous_secret_until=None)
                | (~models.Q(previous_secret="") & models.Q(previous_secret_until__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return self.url

    def valid_secrets(self, now: datetime) -> list[str]:
        """Returns the secrets that sign an alert now."""
        return [self.secret, self.previous_secret] if self.old_secret_until(now) else [self.secret]

    def old_secret_until(self, now: datetime) -> datetime | None:
        """Returns until when alerts are also signed with the old secret; None if they are not."""
        until = self.previous_secret_until
        return until if until is not None and until > now else None

    def audit_subject(self) -> AuditSubject:
        return AuditSubject("account", self.account_id, str(self.account), self.account_id)


class AlertState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


class Alert(models.Model):
    """One alert with the bytes of its body, which each of its attempts sends."""

    public_id = models.UUIDField(unique=True, default=new_public_id, editable=False)
    webhook = models.ForeignKey(AlertWebhook, models.CASCADE, related_name="alerts", db_index=False)
    body = models.BinaryField()
    is_test = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=10, choices=AlertState, default=AlertState.WAITING)
    attempts_made = models.PositiveSmallIntegerField(default=0)
    attempts = models.JSONField(default=list)  # of actions/alerts.py: AttemptMade, in their order
    next_attempt_at = models.DateTimeField(null=True, blank=True)  # null: it is delivered or failed

    class Meta:
        indexes = [
            # the next ones to send
            models.Index(
                name="instances_alert_due",
                fields=["next_attempt_at"],
                condition=models.Q(state=AlertState.WAITING),
            ),
            # the newest of a webhook, on its page and to count those of the last hour
            models.Index(name="instances_alert_newest", fields=["webhook", "-created_at"]),
            models.Index(name="instances_alert_old", fields=["created_at"]),  # retention
        ]
        constraints = [
            models.CheckConstraint(
                name="instances_alert_state", condition=models.Q(state__in=AlertState.values)
            ),
            models.CheckConstraint(
                name="instances_alert_waiting",
                condition=models.Q(state=AlertState.WAITING) ^ models.Q(next_attempt_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"alert_{self.public_id.hex}"
