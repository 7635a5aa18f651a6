"""Mails the owner of an account about new issues, and about those that are resolved; a task runs it every minute.

An issue is opened within a minute of its first failure, and mailed after MAIL_AFTER, so the mail comes within five
minutes; an endpoint that only restarts is not mailed. All that is due for an account is one mail. A crash between the
mail and its record sends it again.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from hooks.explain.issues import explain_issues
from hooks.log.endpoint_numbers import limited
from hooks.log.issue_hooks import count_hooks
from hooks.models import Issue, IssueState

log = logging.getLogger(__name__)

MAIL_AFTER = timedelta(minutes=2, seconds=30)
# Further issues of an account wait until the oldest of these mails is an hour old, and are in one mail then.
MAX_PER_HOUR = 4
HOUR = timedelta(hours=1)
SHOWN = 20  # issues of a mail that are described; the others are counted


def send() -> str:
    """Mail what is due; returns a summary for the task's result."""
    now = timezone.now()
    sent = 0
    for account, issues in due_issues(now).items():
        if count_recent(account, now) >= MAX_PER_HOUR:
            continue
        try:
            send_issue_mail(account, issues)
        except (
            OSError,
            SMTPException,
        ) as error:  # the mail server is not reachable: the next run tries again
            log.warning("the mail about issues of account %s failed: %s", account.pk, error)
            continue
        for issue in issues:
            recent = [at for at in issue.mails_at if at > now - HOUR]
            Issue.objects.filter(pk=issue.pk).update(mailed_state=issue.state, mails_at=[*recent, now])
        sent += 1
    return f"{sent} mails sent"


def due_issues(now: datetime) -> dict[Account, list[Issue]]:
    """Returns by account the open issues that were not mailed, and the resolved ones that were mailed when open."""
    opened = Q(state=IssueState.OPEN, opened_at__lte=now - MAIL_AFTER) & ~Q(mailed_state=IssueState.OPEN)
    resolved = Q(state=IssueState.RESOLVED, mailed_state=IssueState.OPEN)
    found = Issue.objects.filter(opened | resolved, endpoint__removed_at=None, endpoint__paused_at=None)
    by_account: dict[Account, list[Issue]] = defaultdict(list)
    for issue in found.select_related("endpoint__instance__owner__owner").order_by("pk"):
        by_account[issue.endpoint.instance.owner].append(issue)
    return by_account


def count_recent(account: Account, now: datetime) -> int:
    """Returns the number of mails to the account in the last hour: all issues in one mail have its time."""
    mailed = Issue.objects.filter(endpoint__instance__owner=account).exclude(mails_at=[])
    times = mailed.order_by().values_list("mails_at", flat=True)
    return len({at for of_issue in times for at in of_issue if at > now - HOUR})


def send_issue_mail(account: Account, issues: Sequence[Issue]) -> None:
    explanations, missed = explain_issues(issues), count_hooks(issues)
    lines: list[dict[str, Any]] = [
        {
            "issue": issue,
            "instance": issue.endpoint.instance,
            "explanation": explanations[issue.pk],
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
    send_mail(
        subject_of(opened or resolved, is_resolved=not opened),
        render_to_string("instances/issues_mail.txt", context),
        None,
        [account.owner.email],
    )


def subject_of(lines: Sequence[dict[str, Any]], *, is_resolved: bool) -> str:
    """Returns "Hooks of Shop fail", "Hooks of Shop and 2 others fail", "Hooks of Shop are delivered again"."""
    names = list(dict.fromkeys(str(line["instance"]) for line in lines))
    others = len(names) - 1
    more = f" and {others} other instance{'s' if others > 1 else ''}" if others else ""
    return f"Hooks of {names[0]}{more} {'are delivered again' if is_resolved else 'fail'}"
