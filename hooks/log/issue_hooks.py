"""The hooks of issues: the filter that finds them in the log and for a resend, and how many there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import connection
from django.db.models import Q

from hooks.log.counts import MAX_COUNT, Count
from hooks.log.endpoint_numbers import limited
from hooks.log.index_order import execute_in_index_order
from hooks.log.selection import Filter
from hooks.models import CAUSE_HAS_STATUS, Attempt, Hook, Issue, State

FAILED = (State.FAILED,)
FAILED_OR_RETRYING = (State.FAILED, State.RETRYING)
# By the index of outcomes, newest first, of each issue up to the limit; `= ANY (ARRAY[…])`: see endpoint_numbers.
COUNTS = """
SELECT i.id, (
    SELECT count(*) FROM (
        SELECT FROM hooks_hook h
        WHERE h.endpoint_id = i.endpoint_id AND h.last_outcome = ANY (ARRAY[i.outcome])
            AND h.last_outcome <> '' AND h.last_outcome <> 'ok' AND (i.status = 0 OR h.last_status = i.status)
            AND h.id >= i.first_hook AND h.created_at >= i.events_since
            AND (i.resolved_at IS NULL OR h.created_at < i.resolved_at)
            AND h.state = ANY (%(states)s::text[]) AND NOT h.simulated
        ORDER BY h.last_outcome, h.id DESC LIMIT %(limit)s
    ) AS found
)
FROM hooks_issue i WHERE i.id = ANY (%(issues)s)
"""


def filter_of(issue: Issue, states: Collection[State] = FAILED) -> Filter:
    """Returns the log's filter for the issue's hooks in these states: by default those that can be resent.

    Hooks of events after the recovery belong to the next issue with this cause.
    """
    found: Filter = {
        "endpoint": issue.endpoint_id,
        "states": [state.value for state in states],
        "outcomes": [issue.outcome],
        "simulated": False,
        "created_after": issue.events_since.isoformat(),
    }
    if issue.status:
        found["status"] = issue.status
    if issue.resolved_at is not None:
        found["created_before"] = issue.resolved_at.isoformat()
    return found


def issue_of(hook: Hook, attempt: Attempt) -> Issue | None:
    """Returns the issue that counts this failed attempt of the hook; None without one. One query.

    An issue is opened within a minute of its first failure.
    """
    has_status = attempt.outcome in CAUSE_HAS_STATUS
    same_cause = Issue.objects.filter(
        endpoint=hook.endpoint_id,
        outcome=attempt.outcome,
        status=attempt.status if has_status and attempt.status else 0,
        first_hook__lte=hook.pk,
        events_since__lte=hook.created_at,
    )
    same_time = same_cause.filter(Q(resolved_at=None) | Q(resolved_at__gt=hook.created_at))
    return same_time.order_by("-pk").first()


def count_hooks(issues: Iterable[Issue], states: Collection[State] = FAILED) -> dict[int, Count]:
    """Returns by the key of each issue how many of its hooks are in these states, up to MAX_COUNT. One query."""
    keys = [issue.pk for issue in issues]
    if not keys:
        return {}
    with connection.cursor() as cursor:
        execute_in_index_order(
            cursor,
            COUNTS,
            {"issues": keys, "states": [state.value for state in states], "limit": MAX_COUNT + 1},
        )
        return {key: limited(number) for key, number in cursor.fetchall()}
