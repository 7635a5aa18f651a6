"""Sends alerts about new issues, and about those that are resolved, to the accounts' alert webhooks; runs every minute.

What is due for an account (due_issues.py) becomes one alert, in the transaction that records the sent state at the
issues: no issue is sent twice or left out. Alerts are sent by threads of this task, beside the dispatchers. An alert is
claimed before it is sent; if the process dies in between, it is sent again with the same `webhook-id`.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.models import Account
from hooks import http
from hooks.explain.issues import explain_issue, newest_attempts
from hooks.log.issue_hooks import count_hooks
from hooks.models import Issue, IssueState
from instances.actions.alerts import LEASE, post, record_response
from instances.actions.fixes import fixes_of_issues
from instances.alert_payloads import alert_body, describe_issue
from instances.maintenance.due_issues import HOUR, MAX_PER_HOUR, due_issues, subject_of
from instances.models import Alert, AlertState, AlertWebhook

THREADS = 16  # requests at the same time; each takes at most 10 s
PORTION = 64
RUN_SECONDS = 45.0  # a run starts no further portion after this; the next one continues


def send() -> str:
    """Create the alerts that are due, and send those that wait; returns a summary for the task's result."""
    now = timezone.now()
    created = sum(create_alert(account, now) for account in due_issues(now, "alerted_state"))
    dropped = drop_old(now)
    return f"{created} alerts created, {send_waiting()} attempts made, {dropped} dropped"


def drop_old(now: datetime) -> int:
    """Delete old alerts, and the webhooks of deleted accounts with theirs; returns the number of rows."""
    alerts, _ = Alert.objects.filter(created_at__lt=now - timedelta(days=settings.HOOKS_KEEP_DAYS)).delete()
    accounts = Account.objects.filter(pk=OuterRef("pk"))
    webhooks, _ = AlertWebhook.objects.filter(~Exists(accounts)).delete()
    return alerts + webhooks


@transaction.atomic
def create_alert(account: Account, now: datetime) -> bool:
    """Create the alert about the account's due issues; False if it has no webhook, or got too many in this hour."""
    # the lock: of two runs, the later one finds nothing due
    webhook = AlertWebhook.objects.select_for_update(no_key=True).filter(pk=account.pk).first()
    if webhook is None:
        return False
    if (
        webhook.alerts.filter(is_test=False, created_at__gt=now - HOUR, created_at__lte=now).count()
        >= MAX_PER_HOUR
    ):
        return False
    issues = due_issues(now, "alerted_state", account=account).get(account, [])
    if not issues:
        return False
    newest, missed = newest_attempts(issues), count_hooks(issues)
    fixes = fixes_of_issues(issues, newest)
    described = [
        describe_issue(
            issue,
            issue.endpoint.instance,
            explain_issue(issue, newest.get(issue.pk)),
            int(missed[issue.pk]),
            fixes[issue.pk],
        )
        for issue in issues
    ]
    opened = [one for one in described if one["state"] == IssueState.OPEN]
    recovered = [one for one in described if one not in opened]
    text = subject_of([one["instanceName"] for one in opened or recovered], is_resolved=not opened)
    Alert.objects.create(
        webhook=webhook, body=alert_body(text, opened, recovered), created_at=now, next_attempt_at=now
    )
    for issue in issues:
        Issue.objects.filter(pk=issue.pk).update(alerted_state=issue.state)
    return True


def send_waiting() -> int:
    """Send the alerts that are due, those that wait longest first; returns the number of attempts."""
    ends, made = time.monotonic() + RUN_SECONDS, 0
    while time.monotonic() < ends and (alerts := claim_alerts()):
        with ThreadPoolExecutor(THREADS) as threads:
            started = {threads.submit(make_attempt, alert): alert for alert in alerts}
            for done in as_completed(started):
                at, response = done.result()
                record_response(started[done], at=at, response=response)
        made += len(alerts)
    return made


def make_attempt(alert: Alert) -> tuple[datetime, http.Response]:
    """Returns when the attempt started, which is after it waited for a thread, and the response. Queries nothing."""
    at = timezone.now()
    return at, post(alert, at=at)


@transaction.atomic
def claim_alerts() -> list[Alert]:
    """Returns up to PORTION alerts to send now, with the number of this attempt. Others cannot claim them for LEASE."""
    now = timezone.now()
    due = Alert.objects.filter(
        state=AlertState.WAITING, next_attempt_at__lte=now, webhook__account__blocked_at=None
    )
    locked = due.select_for_update(no_key=True, skip_locked=True, of=("self",)).select_related("webhook")
    alerts = list(locked.order_by("next_attempt_at")[:PORTION])
    for alert in alerts:
        alert.attempts_made += 1
        alert.next_attempt_at = now + LEASE
        alert.save(update_fields=["attempts_made", "next_attempt_at"])
    return alerts
