"""Actions on the alert webhook of an account, and the requests that it gets."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypedDict

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import Account, User
from hooks import http, retries, signing
from hooks.actions.endpoints import OLD_SECRET
from hooks.explain.sentences import explain_response
from hooks.models import Issue, Outcome, new_secret
from hooks.urls import webhook_urls
from instances.alert_payloads import test_body
from instances.models import Alert, AlertState, AlertWebhook

# The schedule of hooks with guaranteedHooks, but shorter: after four hours an alert is out of date.
MAX_ATTEMPTS = 12
# Longer than a request takes. An alert whose sender died is sent again after it.
LEASE = timedelta(minutes=1)


class AttemptMade(TypedDict):
    """An attempt as Alert.attempts has it. `status` is null without a response; times are ISO 8601."""

    number: int
    at: str
    url: str
    outcome: str
    status: int | None
    milliseconds: float
    explanation: str
    nextStep: str


@transaction.atomic
def set_url(account: Account, *, url: str, acting_user: User | None) -> AlertWebhook:
    """Send the account's alerts to this URL from now on. A new webhook gets a signing secret.

    Raises webhook_urls.InvalidUrl.
    """
    checked = webhook_urls.check(url)
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    # locked: one that is removed meanwhile must not come back with its old secret
    found = AlertWebhook.objects.select_for_update(no_key=True).filter(pk=account.pk).first()
    if found is not None and found.url == checked:
        return found
    webhook = found or AlertWebhook(account=account)
    if found is None:  # what fails now is due; what a removed webhook was sent does not count
        Issue.objects.filter(endpoint__instance__owner=account).update(alerted_state="")
    webhook.url = checked
    webhook.save()
    audit.record(
        webhook, AuditAction.ALERT_WEBHOOK_SET, acting_user=acting_user, host=webhook_urls.host_of(checked)
    )
    return webhook


@transaction.atomic
def remove(webhook: AlertWebhook, *, acting_user: User | None) -> None:
    """Send no more alerts, and forget those that were sent. Does nothing if it was removed before."""
    if not AlertWebhook.objects.select_for_update().filter(pk=webhook.pk).exists():
        return
    audit.record(webhook, AuditAction.ALERT_WEBHOOK_REMOVED, acting_user=acting_user)
    AlertWebhook.objects.filter(pk=webhook.pk).delete()


@transaction.atomic
def rotate_secret(webhook: AlertWebhook, *, acting_user: User | None, keep_old: bool = True) -> AlertWebhook:
    """Create a new signing secret; for a day, alerts are also signed with the old one, unless `keep_old` is false.

    A second rotation within the day ends the oldest secret, as that of an endpoint does.

    Raises:
        AlertWebhook.DoesNotExist: it was removed meanwhile.
    """
    row = locked(webhook)
    row.previous_secret = row.secret if keep_old else ""
    row.previous_secret_until = timezone.now() + OLD_SECRET if keep_old else None
    row.secret = new_secret()
    row.save(update_fields=["secret", "previous_secret", "previous_secret_until"])
    audit.record(row, AuditAction.ALERT_SECRET_ROTATED, acting_user=acting_user, old_secret_kept=keep_old)
    return row


@transaction.atomic
def end_previous_secret(webhook: AlertWebhook, *, acting_user: User | None) -> None:
    """End the old secret of a rotation before its 24 hours are over. Does nothing if it has ended before.

    Raises:
        AlertWebhook.DoesNotExist: it was removed meanwhile.
    """
    row = locked(webhook)
    if not row.previous_secret:
        return
    row.previous_secret, row.previous_secret_until = "", None
    row.save(update_fields=["previous_secret", "previous_secret_until"])
    audit.record(row, AuditAction.ALERT_OLD_SECRET_ENDED, acting_user=acting_user)


def locked(webhook: AlertWebhook) -> AlertWebhook:
    """Returns the webhook as it is stored, locked. Raises AlertWebhook.DoesNotExist."""
    rows = AlertWebhook.objects.select_for_update(no_key=True, of=("self",)).select_related("account")
    return rows.get(pk=webhook.pk)


def send_test(webhook: AlertWebhook, *, acting_user: User | None) -> Alert:
    """Send a test alert now, once; returns it with its attempt. Takes at most 10 s."""
    now = timezone.now()
    with transaction.atomic():
        audit.record(webhook, AuditAction.ALERT_TESTED, acting_user=acting_user)
        alert = Alert.objects.create(
            webhook=webhook,
            body=test_body(),
            is_test=True,
            attempts_made=1,
            created_at=now,
            next_attempt_at=now + LEASE,
        )
    return record_response(alert, at=now, response=post(alert, at=now))


def post(alert: Alert, *, at: datetime) -> http.Response:
    """Make the attempt of this number; `webhook` must be loaded. Queries nothing, so it may run in a thread."""
    body = bytes(alert.body)
    headers = signing.headers(
        webhook_id=str(alert),
        body=body,
        secret=" ".join(alert.webhook.valid_secrets(at)),
        at=at,
        number=alert.attempts_made,
        allowed=attempts_allowed(alert),
        simulated=alert.is_test,
    )
    return http.post(alert.webhook.url, headers, body)


def without_hooks(next_step: str) -> str:
    """Returns the advice about a failed hook without the sentences that do not apply to alerts."""
    sentences = next_step.split(". ")
    kept = [one for one in sentences if not any(word in one for word in ("guaranteedHooks", "acks"))]
    return ". ".join(kept).rstrip(".") + "." if kept and next_step else ""


def attempts_allowed(alert: Alert) -> int:
    return 1 if alert.is_test else MAX_ATTEMPTS


def record_response(alert: Alert, *, at: datetime, response: http.Response) -> Alert:
    """Store an attempt that started at this time, and when the next one is due; returns the alert."""
    explanation = explain_response(response, url=alert.webhook.url)
    made: AttemptMade = {
        "number": alert.attempts_made,
        "at": at.isoformat(),
        "url": alert.webhook.url,
        "outcome": response.outcome.value,
        "status": response.status,
        "milliseconds": response.total_ms,
        "explanation": explanation.sentence,
        "nextStep": without_hooks(explanation.next_step),
    }
    alert.attempts = [*alert.attempts, made]
    alert.next_attempt_at = None
    if response.outcome == Outcome.OK:
        alert.state = AlertState.DELIVERED
    else:
        alert.next_attempt_at = retries.next_attempt(
            timezone.now(),
            made=alert.attempts_made,
            allowed=attempts_allowed(alert),
            status=response.status,
            retry_after=response.header("retry-after"),
        )
        alert.state = AlertState.WAITING if alert.next_attempt_at else AlertState.FAILED
    # no save(): the webhook may have been removed meanwhile, with its alerts
    Alert.objects.filter(pk=alert.pk).update(
        attempts=alert.attempts, state=alert.state, next_attempt_at=alert.next_attempt_at
    )
    return alert
