"""Percentiles of how long endpoints took to respond, for each bar of a chart and for its whole period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Q

from hooks.log.chart import EDGES, LAST_KEY
from hooks.log.index_order import execute_in_index_order
from hooks.log.recent import ALL_RESPONSES, MANY, recent_keys
from hooks.models import ResponseClass, created_before, created_since, smallest_public_id

NEWEST = 10_000  # hooks that are read, of all these endpoints together

# The newest hooks with an attempt between two keys, by the index of response classes, one probe per class: hooks
# without an attempt do not slow it down. Simulations are excluded: they may go to other URLs. `= ANY (ARRAY[…])` with
# the column in ORDER BY: see endpoint_numbers.
DURATIONS = """
SELECT place, count(last_ms), percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY last_ms)
FROM (
    SELECT width_bucket(found.created_at, %(edges)s::timestamptz[]) - 1 AS place, found.last_ms
    FROM unnest(%(endpoints)s::bigint[]) AS wanted (id) CROSS JOIN unnest(%(classes)s::text[]) AS response_class
    CROSS JOIN LATERAL (
        SELECT id, created_at, last_ms FROM hooks_hook
        WHERE endpoint_id = wanted.id AND last_answer = ANY (ARRAY[response_class]) AND last_answer <> ''
            AND id >= %(first)s AND id < %(last)s AND NOT simulated
        ORDER BY last_answer, id DESC LIMIT %(newest)s
    ) AS found
    WHERE found.created_at >= %(start)s AND found.created_at < %(end)s
    ORDER BY found.id DESC LIMIT %(newest)s
) AS newest
GROUP BY GROUPING SETS ((place), ())
"""
OF_KEYS = """
SELECT width_bucket(created_at, %(edges)s::timestamptz[]) - 1 AS place, count(last_ms),
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY last_ms)
FROM hooks_hook WHERE id = ANY (%(keys)s::bigint[])
GROUP BY GROUPING SETS ((width_bucket(created_at, %(edges)s::timestamptz[]) - 1), ())
"""


@dataclass(frozen=True)
class Durations:
    """The number of hooks, and percentiles of the duration of their last attempt in ms; None without a hook."""

    hooks: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


def durations_between(
    endpoint_ids: Sequence[int], edges: Sequence[datetime]
) -> tuple[Durations, dict[int, Durations]]:
    """Returns the durations of these endpoints' hooks between the first and the last edge, and by place between two.

    Of the newest NEWEST hooks; a place without one is left out. Two queries; more for many endpoints, see
    recent_keys().
    """
    if len(endpoint_ids) > MANY:
        return durations_of_many(endpoint_ids, edges)
    with connection.cursor() as cursor:
        cursor.execute(EDGES, [[smallest_public_id(at) for at in (edges[0], edges[-1])]])
        first, last = (LAST_KEY if key is None else key for (key,) in cursor.fetchall())
        execute_in_index_order(
            cursor,
            DURATIONS,
            {
                "edges": list(edges), "start": edges[0], "end": edges[-1], "first": first, "last": last,
                "endpoints": list(endpoint_ids), "classes": ResponseClass.values, "newest": NEWEST,
            },
        )  # fmt: skip
        found = {place: Durations(count, *(values or ())) for place, count, values in cursor.fetchall()}
    return found.pop(None, Durations()), found


def durations_of_many(
    endpoint_ids: Sequence[int], edges: Sequence[datetime]
) -> tuple[Durations, dict[int, Durations]]:
    """Like durations_between(): of each of many endpoints, not all of the newest NEWEST hooks are read."""
    in_period = created_since(edges[0]) & created_before(edges[-1]) & Q(simulated=False)
    keys = recent_keys(endpoint_ids, ALL_RESPONSES, limit=NEWEST, narrowed=in_period)
    with connection.cursor() as cursor:
        cursor.execute(OF_KEYS, {"edges": list(edges), "keys": keys})
        found = {place: Durations(count, *(values or ())) for place, count, values in cursor.fetchall()}
    return found.pop(None, Durations()), found
