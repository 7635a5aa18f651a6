"""Mails the owner of an account about new issues, and about those that are resolved; a task runs it every minute.

What is due (due_issues.py) becomes one mail for each account. A crash between the mail and its record sends it again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from accounts.time_zones import in_zone_of
from hooks.explain.issues import explain_issue, newest_attempts
from hooks.log.endpoint_numbers import limited
from hooks.log.issue_hooks import count_hooks
from hooks.models import Issue, IssueState
from instances.actions.fixes import fixes_of_issues
from instances.maintenance.due_issues import HOUR, MAX_PER_HOUR, due_issues, subject_of

log = logging.getLogger(__name__)

RETRY_AFTER = timedelta(minutes=5)  # longer than any mail takes
SHOWN = 20  # issues of a mail that are described; the others are counted


def send() -> str:
    """Mail what is due; returns a summary for the task's result."""
    now = timezone.now()
    sent = 0
    for account in due_issues(now, "mailed_state"):
        if count_recent(account, now) >= MAX_PER_HOUR:
            continue
        issues = claim(account, now)
        if not issues:
            continue
        try:
            send_issue_mail(account, issues)
        except (
            OSError,
            SMTPException,
        ) as error:  # the mail server is not reachable: the next run tries again
            log.warning("the mail about issues of account %s failed: %s", account.pk, error)
            for issue in issues:
                Issue.objects.filter(pk=issue.pk).update(mailing_at=None, mails_at=issue.mails_at)
            continue
        for issue in issues:
            Issue.objects.filter(pk=issue.pk).update(mailing_at=None, mailed_state=issue.state)
        sent += 1
    return f"{sent} mails sent"


@transaction.atomic
def claim(account: Account, now: datetime) -> list[Issue]:
    """Returns the account's due issues as they are before this mail, which their rows in the database have now.

    Empty while another run mails one of them, or RETRY_AFTER has not passed since a run that died.
    """
    keys = [issue.pk for issue in due_issues(now, "mailed_state", account=account).get(account, [])]
    # the lock: of two runs, the later one reads what the other has written
    list(Issue.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk"))
    due = due_issues(now, "mailed_state", account=account).get(account, [])
    if any(issue.mailing_at and now - RETRY_AFTER < issue.mailing_at <= now for issue in due):
        return []
    for issue in due:
        recent = [at for at in issue.mails_at if now - HOUR < at <= now]
        Issue.objects.filter(pk=issue.pk).update(mailing_at=now, mails_at=[*recent, now])
    return due


def count_recent(account: Account, now: datetime) -> int:
    """Returns the number of mails to the account in the last hour: all issues in one mail have its time."""
    mailed = Issue.objects.filter(endpoint__instance__owner=account).exclude(mails_at=[])
    times = mailed.order_by().values_list("mails_at", flat=True)
    return len({at for of_issue in times for at in of_issue if now - HOUR < at <= now})


def send_issue_mail(account: Account, issues: Sequence[Issue]) -> None:
    newest, missed = newest_attempts(issues), count_hooks(issues)
    fixes = fixes_of_issues(issues, newest)
    lines: list[dict[str, Any]] = [
        {
            "issue": issue,
            "instance": issue.endpoint.instance,
            "explanation": explain_issue(issue, newest.get(issue.pk)),
            "fixes": fixes[issue.pk],
            "hooks": limited(issue.hooks),
            "missed": missed[issue.pk],
            "page": f"{settings.SITE_URL}{reverse('issues:issue', args=[issue.public_id])}",
        }
        for issue in issues
    ]
    opened = [line for line in lines if line["issue"].state == IssueState.OPEN]
    resolved = [line for line in lines if line not in opened]
    context = {
        "opened": opened[:SHOWN],
        "resolved": resolved[:SHOWN],
        "more": len(opened[SHOWN:]) + len(resolved[SHOWN:]),
        "page": f"{settings.SITE_URL}{reverse('issues:list')}",
    }
    with in_zone_of(account.owner):
        text = render_to_string("instances/issues_mail.txt", context)
    EmailMessage(
        subject_of([str(line["instance"]) for line in opened or resolved], is_resolved=not opened),
        text,
        to=[account.owner.email],
        headers={"Message-ID": message_id(issues)},
    ).send()


def message_id(issues: Sequence[Issue]) -> str:
    """Returns the Message-ID of a mail about these issues in their states: the same if it is sent again."""
    states = "".join(f"{issue.public_id.hex}{issue.state}{issue.opened_at.timestamp()}" for issue in issues)
    return f"<issues-{sha256(states.encode()).hexdigest()[:32]}@{settings.SITE_HOST}>"
