"""The last error of each instance in words: the newest of its issues that are not resolved."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from hooks.explain.sentences import explain
from hooks.models import Attempt, Issue
from instances.models import Instance


class LastError(NamedTuple):
    """What happened at the last failed attempt of an issue, and the issue's id in URLs."""

    sentence: str
    at: datetime
    issue: UUID


def last_errors(instances: Iterable[Instance]) -> dict[int, LastError]:
    """Returns the last errors by the keys of their instances. Two queries for any number of instances."""
    issues = Issue.objects.unresolved().filter(
        endpoint__instance__in=[instance.pk for instance in instances], endpoint__removed_at=None
    )
    newest = {
        instance: (attempt, at, issue)
        for instance, attempt, at, issue in issues.order_by("last_failed_at").values_list(
            "endpoint__instance", "last_attempt", "last_failed_at", "public_id"
        )
    }
    attempts = Attempt.objects.in_bulk([attempt for attempt, _, _ in newest.values()])
    return {
        instance: LastError(explain(attempts[key]).sentence, at, issue)
        for instance, (key, at, issue) in newest.items()
        if key in attempts  # it may be deleted by now
    }
