"""Explains issues in the words of their newest failed attempt."""

from __future__ import annotations

from collections.abc import Iterable

from hooks.explain.sentences import Explanation, explain, explain_outcome
from hooks.models import CAUSE_HAS_STATUS, Attempt, Issue, Outcome, Side
from hooks.urls.webhook_urls import host_of


def explain_issues(issues: Iterable[Issue]) -> dict[int, Explanation]:
    """Returns the explanation of each issue by its key. One query; `endpoint` must be loaded.

    Without the attempt, which an instance's cleaning may delete, the outcome and the status code are explained.
    """
    found = list(issues)
    newest = newest_attempts(found)
    return {issue.pk: explain_issue(issue, newest.get(issue.pk)) for issue in found}


def newest_attempts(issues: Iterable[Issue]) -> dict[int, Attempt]:
    """Returns the newest failed attempt of each issue by the issue's key, if it still exists. One query."""
    issue_of = {issue.last_attempt: issue.pk for issue in issues}
    attempts = Attempt.objects.filter(pk__in=list(issue_of)).order_by()
    return {issue_of[attempt.pk]: attempt for attempt in attempts}


def explain_issue(issue: Issue, newest: Attempt | None) -> Explanation:
    """Returns the explanation of an issue; `newest` is its newest failed attempt."""
    if issue.outcome in CAUSE_HAS_STATUS and not issue.status:
        return Explanation(
            f"{host_of(issue.endpoint.url)} responds with many different status codes. Only 200 counts.",
            Side.ENDPOINT,
            "Check your server's error log, and whether a proxy in front of it responds instead.",
        )
    if newest is not None:
        return explain(newest)
    return explain_outcome(Outcome(issue.outcome), url=issue.endpoint.url, status=issue.status or None)
