"""The health of one endpoint: success rate and durations of its newest hooks, waiting hooks, last failure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from hooks.explain import Explanation, explain
from hooks.models import UNFINISHED, Attempt, Hook, Outcome, ResponseClass

NEWEST = 1000  # how many of the newest hooks with an attempt are read
MAX_WAITING = 10_000

# The newest hooks with an attempt, by the index of response classes, one probe per class: a backlog of a million hooks
# without an attempt does not slow it down. Simulations are excluded: they may go to other URLs.
ATTEMPTED = """
WITH newest AS (
    SELECT found.id FROM unnest(%(classes)s::text[]) AS response_class
    CROSS JOIN LATERAL (
        SELECT id FROM hooks_hook
        WHERE endpoint_id = %(endpoint)s AND last_answer = response_class AND last_answer <> ''
        ORDER BY id DESC LIMIT %(newest)s
    ) AS found
    ORDER BY found.id DESC LIMIT %(newest)s
)
SELECT count(*), count(*) FILTER (WHERE last_outcome = 'ok'), min(created_at),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY last_ms), percentile_cont(0.95) WITHIN GROUP (ORDER BY last_ms),
    max(id) FILTER (WHERE last_outcome <> 'ok')
FROM hooks_hook WHERE id IN (SELECT id FROM newest) AND NOT simulated
"""
WAITING = """
SELECT sum(counted.waiting)::bigint, min(first.created_at) FROM unnest(%(states)s::text[]) AS wanted
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting
    FROM (SELECT FROM hooks_hook WHERE endpoint_id = %(endpoint)s AND state = wanted LIMIT %(limit)s) AS hooks
) AS counted
LEFT JOIN LATERAL (
    SELECT created_at FROM hooks_hook WHERE endpoint_id = %(endpoint)s AND state = wanted ORDER BY id LIMIT 1
) AS first ON true
"""


@dataclass(frozen=True)
class Health:
    """The numbers of one endpoint. Durations are in ms; they and `since` are None without a hook."""

    tried: int  # hooks with an attempt that were read, at most NEWEST
    delivered: int
    since: datetime | None
    p50: float | None
    p95: float | None
    waiting: int
    waiting_more: bool  # `waiting` is a lower bound
    oldest: datetime | None  # the event of the oldest waiting hook
    failed: Hook | None  # the newest hook whose last attempt failed
    failure: Attempt | None
    explanation: Explanation | None

    @property
    def percent(self) -> str:
        """Returns the success rate: `100`, `99.9`, `0`. Below 100 if any hook failed; empty without a hook."""
        if not self.tried:
            return ""
        if self.delivered == self.tried:
            return "100"
        exact = 100 * self.delivered / self.tried
        return f"{min(exact, 99.9):.1f}".removesuffix(".0")


def health_of(endpoint_id: int) -> Health:
    """Returns the endpoint's health. At most four queries, each by an index: 10 ms with a million hooks."""
    with connection.cursor() as cursor:
        cursor.execute(
            ATTEMPTED, {"endpoint": endpoint_id, "classes": ResponseClass.values, "newest": NEWEST}
        )
        tried, delivered, since, p50, p95, failed_key = cursor.fetchone()
        cursor.execute(
            WAITING, {"endpoint": endpoint_id, "states": list(UNFINISHED), "limit": MAX_WAITING + 1}
        )
        waiting, oldest = cursor.fetchone()
    failed = Hook.objects.defer("body").filter(pk=failed_key).first() if failed_key else None
    failure = (
        Attempt.objects.filter(hook=failed).exclude(outcome=Outcome.OK).order_by("-number", "-id").first()
        if failed
        else None
    )
    return Health(
        tried=tried,
        delivered=delivered,
        since=since,
        p50=p50,
        p95=p95,
        waiting=min(waiting, MAX_WAITING),
        waiting_more=waiting > MAX_WAITING,
        oldest=oldest,
        failed=failed,
        failure=failure,
        explanation=explain(failure) if failure else None,
    )
