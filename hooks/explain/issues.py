"""Explains issues in the words of their newest failed attempt."""

from __future__ import annotations

from collections.abc import Iterable

from hooks.explain.sentences import Explanation, explain, explain_outcome
from hooks.models import Attempt, Issue, Outcome


def explain_issues(issues: Iterable[Issue]) -> dict[int, Explanation]:
    """Returns the explanation of each issue by its key. One query; `endpoint` must be loaded.

    Without the attempt, which an instance's cleaning may delete, the outcome and the status code are explained.
    """
    found = list(issues)
    keys = [issue.last_attempt for issue in found]
    attempts = {attempt.pk: attempt for attempt in Attempt.objects.filter(pk__in=keys).order_by()}
    return {
        issue.pk: explain(attempts[issue.last_attempt])
        if issue.last_attempt in attempts
        else explain_outcome(Outcome(issue.outcome), url=issue.endpoint.url, status=issue.status or None)
        for issue in found
    }
