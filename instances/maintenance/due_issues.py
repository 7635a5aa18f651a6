"""Which issues an account is to be notified of, by a mail or its alert webhook: new and resolved ones.

An issue is opened within a minute of its first failure, and its account is notified after NOTIFY_AFTER, so within five
minutes; an endpoint that only restarts causes no notification.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from django.db.models import Q

from accounts.models import Account
from hooks.models import Issue, IssueState

NOTIFY_AFTER = timedelta(minutes=2, seconds=30)
# Further issues of an account wait until the oldest of these mails or alerts is an hour old, and are in one then.
MAX_PER_HOUR = 4
HOUR = timedelta(hours=1)
# One that waits for longer could not be sent.
OVERDUE = HOUR + timedelta(minutes=15)


def due_issues(
    now: datetime, sent_state: Literal["mailed_state", "alerted_state"], *, account: Account | None = None
) -> dict[Account, list[Issue]]:
    """Returns by account the open issues that it was not notified of, and the resolved ones of which it was, when open.

    `sent_state` is the column with the state of its last notification. An issue opened in the future is due: the clock
    was wrong and set back.
    `account`: only of this one; by default, of all accounts that have this kind of notification. One query.
    """
    is_notified = Q(**{sent_state: IssueState.OPEN})
    opened_long_ago = Q(opened_at__lte=now - NOTIFY_AFTER) | Q(opened_at__gt=now)
    opened = Q(opened_long_ago, state=IssueState.OPEN) & ~is_notified
    resolved = Q(state=IssueState.RESOLVED) & is_notified
    found = Issue.objects.filter(opened | resolved, endpoint__removed_at=None, endpoint__paused_at=None)
    if sent_state == "alerted_state":
        found = found.filter(endpoint__instance__owner__alert_webhook__isnull=False)
    if account is not None:
        found = found.filter(endpoint__instance__owner=account)
    by_account: dict[Account, list[Issue]] = defaultdict(list)
    for issue in found.select_related("endpoint__instance__owner__owner").order_by("pk"):
        by_account[issue.endpoint.instance.owner].append(issue)
    return by_account


def count_overdue_mails(now: datetime, limit: int) -> int:
    """Returns for how many open issues the mail could not be sent, up to `limit`. One query."""
    found = Issue.objects.filter(
        state=IssueState.OPEN,
        opened_at__lte=now - OVERDUE,
        endpoint__removed_at=None,
        endpoint__paused_at=None,
    )
    return found.exclude(mailed_state=IssueState.OPEN)[:limit].count()


def subject_of(instances: Sequence[str], *, is_resolved: bool) -> str:
    """Returns "Hooks of Shop fail", "Hooks of Shop and 2 others fail", "Hooks of Shop are delivered again"."""
    names = list(dict.fromkeys(instances))
    others = len(names) - 1
    more = f" and {others} other instance{'s' if others > 1 else ''}" if others else ""
    return f"Hooks of {names[0]}{more} {'are delivered again' if is_resolved else 'fail'}"
