"""Which issues an account is to be told of: new ones, and those that are resolved. Mails and the alert webhook use it.

An issue is opened within a minute of its first failure, and told after TELL_AFTER, so within five minutes; an endpoint
that only restarts is not told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from django.db.models import Q

from accounts.models import Account
from hooks.models import Issue, IssueState

TELL_AFTER = timedelta(minutes=2, seconds=30)


def due_issues(now: datetime, told: Literal["mailed_state"]) -> dict[Account, list[Issue]]:
    """Returns by account the open issues that it was not told of, and the resolved ones that it was told of when open.

    `told` is the column with the last state that it was told. Opened in the future: the clock was wrong and set back.
    """
    is_told = Q(**{told: IssueState.OPEN})
    opened_long_ago = Q(opened_at__lte=now - TELL_AFTER) | Q(opened_at__gt=now)
    opened = Q(opened_long_ago, state=IssueState.OPEN) & ~is_told
    resolved = Q(state=IssueState.RESOLVED) & is_told
    found = Issue.objects.filter(opened | resolved, endpoint__removed_at=None, endpoint__paused_at=None)
    by_account: dict[Account, list[Issue]] = defaultdict(list)
    for issue in found.select_related("endpoint__instance__owner__owner").order_by("pk"):
        by_account[issue.endpoint.instance.owner].append(issue)
    return by_account


def subject_of(instances: Sequence[str], *, is_resolved: bool) -> str:
    """Returns "Hooks of Shop fail", "Hooks of Shop and 2 others fail", "Hooks of Shop are delivered again"."""
    names = list(dict.fromkeys(instances))
    others = len(names) - 1
    more = f" and {others} other instance{'s' if others > 1 else ''}" if others else ""
    return f"Hooks of {names[0]}{more} {'are delivered again' if is_resolved else 'fail'}"
