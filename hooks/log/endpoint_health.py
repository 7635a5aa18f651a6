"""The health of endpoints: their numbers, the durations of the newest hooks, and the last failure among them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from hooks.explain.sentences import Explanation, explain
from hooks.log.endpoint_numbers import EndpointNumbers, numbers_of, total_of
from hooks.log.index_order import execute_in_index_order
from hooks.log.recent import ALL_RESPONSES, MANY, recent_keys
from hooks.models import Attempt, Hook, Outcome, ResponseClass

NEWEST = 1000  # how many of the newest hooks with an attempt are read

# The newest hooks with an attempt, by the index of response classes, one probe per class: a backlog of a million hooks
# without an attempt does not slow it down. Simulations are excluded: they may go to other URLs. `= ANY (…)`: see
# endpoint_numbers; at the end it reads the rows by their keys, also with the statistics of an empty table.
NEWEST_KEYS = """
    SELECT found.id FROM unnest(%(endpoints)s::bigint[]) AS wanted (id)
    CROSS JOIN unnest(%(classes)s::text[]) AS response_class
    CROSS JOIN LATERAL (
        SELECT id FROM hooks_hook
        WHERE endpoint_id = wanted.id AND last_answer = ANY (ARRAY[response_class]) AND last_answer <> ''
        ORDER BY last_answer, id DESC LIMIT %(newest)s
    ) AS found
    ORDER BY found.id DESC LIMIT %(newest)s
"""
NUMBERS = """
SELECT count(*), min(created_at),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY last_ms), percentile_cont(0.95) WITHIN GROUP (ORDER BY last_ms),
    max(id) FILTER (WHERE last_outcome <> 'ok')
FROM hooks_hook WHERE id = ANY ({keys}) AND NOT simulated
"""
ATTEMPTED = f"WITH newest AS ({NEWEST_KEYS}) {NUMBERS.format(keys='ARRAY(SELECT id FROM newest)')}"
OF_KEYS = NUMBERS.format(keys="%(keys)s::bigint[]")


@dataclass(frozen=True)
class Health:
    """The numbers of one or several endpoints. Durations are in ms; they and `since` are None without a hook."""

    numbers: EndpointNumbers
    tried: int  # hooks with an attempt that were read for the following, at most NEWEST
    since: datetime | None
    p50: float | None
    p95: float | None
    failed: Hook | None  # the newest of them whose last attempt failed
    failure: Attempt | None
    explanation: Explanation | None


def health_of(endpoint_ids: list[int]) -> Health:
    """Returns the health of these endpoints together.

    At most five queries, each by an index: 10 ms with a million hooks. More for many endpoints: see recent_keys().
    """
    with connection.cursor() as cursor:
        if len(endpoint_ids) > MANY:
            cursor.execute(OF_KEYS, {"keys": recent_keys(endpoint_ids, ALL_RESPONSES, limit=NEWEST)})
        else:
            execute_in_index_order(
                cursor,
                ATTEMPTED,
                {"endpoints": endpoint_ids, "classes": ResponseClass.values, "newest": NEWEST},
            )
        tried, since, p50, p95, failed_key = cursor.fetchone()
    failed = Hook.objects.defer("body").filter(pk=failed_key).first() if failed_key else None
    failure = (
        Attempt.objects.filter(hook=failed).exclude(outcome=Outcome.OK).order_by("-number", "-id").first()
        if failed
        else None
    )
    return Health(
        numbers=total_of(numbers_of(endpoint_ids).values()),
        tried=tried,
        since=since,
        p50=p50,
        p95=p95,
        failed=failed,
        failure=failure,
        explanation=explain(failure) if failure else None,
    )
