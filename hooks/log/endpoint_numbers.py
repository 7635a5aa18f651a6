"""The numbers of endpoints on cards, overview and log, in REST and on the support desk, each defined once.

- waiting: the hooks that are queued, being sent or retrying now.
- sent: the hooks of the last hour's events with at least one attempt. Simulations are excluded, because they may go to
  other URLs, and skipped hooks, because they have no attempt.
- delivered: the sent hooks whose last attempt delivered them. A hook that waits for a retry is not delivered.

At most MAX_COUNT hooks are counted for each number; of the sent hooks, the newest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from hooks.log.counts import MAX_COUNT, Count
from hooks.log.index_order import execute_in_index_order
from hooks.models import CLOCK_TOLERANCE, UNFINISHED, ResponseClass, smallest_public_id

PERIOD = timedelta(hours=1)
PARTS = 12  # of the period, for a chart
PART_SECONDS = int(PERIOD.total_seconds()) // PARTS

# `= ANY (ARRAY[…])` with the column in ORDER BY, here and below: with a plain `=` the planner drops the column from the
# order and may read the primary key backwards, which for an endpoint without such hooks reads the whole table: 35 s
# instead of 60 ms, with the statistics of a single endpoint.
WAITING = """
SELECT wanted.id, sum(counted.waiting)::bigint, min(first.created_at)
FROM unnest(%(endpoints)s::bigint[]) AS wanted (id) CROSS JOIN unnest(%(states)s::text[]) AS wanted_state
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting
    FROM (
        SELECT FROM hooks_hook WHERE endpoint_id = wanted.id AND state = ANY (ARRAY[wanted_state])
        ORDER BY state, id LIMIT %(limit)s
    ) AS hooks
) AS counted
LEFT JOIN LATERAL (
    SELECT created_at FROM hooks_hook WHERE endpoint_id = wanted.id AND state = ANY (ARRAY[wanted_state])
    ORDER BY state, id LIMIT 1
) AS first ON true
GROUP BY wanted.id
"""
# By the index of response classes, one probe per class: a backlog of a million hooks without an attempt does not slow
# it down. Keys grow with time, so the index is read from the newest down to the first key of the period.
SENT = """
WITH bound AS MATERIALIZED (
    SELECT coalesce((
        SELECT id FROM hooks_hook WHERE public_id < %(public_id)s ORDER BY public_id DESC LIMIT 1
    ), 0) AS id
)
SELECT wanted.id, floor(extract(epoch FROM found.created_at) / %(seconds)s)::bigint, count(*),
    count(*) FILTER (WHERE found.last_outcome = 'ok')
FROM unnest(%(endpoints)s::bigint[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT of_class.created_at, of_class.last_outcome FROM unnest(%(classes)s::text[]) AS response_class
    CROSS JOIN LATERAL (
        SELECT id, created_at, last_outcome FROM hooks_hook
        WHERE endpoint_id = wanted.id AND last_answer = ANY (ARRAY[response_class]) AND last_answer <> ''
            AND id > (SELECT id FROM bound) AND created_at >= %(since)s AND NOT simulated
        ORDER BY last_answer, id DESC LIMIT %(limit)s
    ) AS of_class
    ORDER BY of_class.id DESC LIMIT %(limit)s
) AS found
GROUP BY 1, 2
"""


@dataclass
class EndpointNumbers:
    """The numbers of one endpoint; `parts` are [sent, delivered] for each five minutes, oldest first."""

    waiting: Count = field(default_factory=Count)
    oldest: datetime | None = None  # the event of the oldest waiting hook
    sent: Count = field(default_factory=Count)
    delivered: Count = field(default_factory=Count)
    parts: list[list[int]] = field(default_factory=lambda: [[0, 0] for _ in range(PARTS)])

    @property
    def not_delivered(self) -> Count:
        return Count.of(self.sent - self.delivered, more=self.sent.more)

    @property
    def percent(self) -> str:
        """Returns the delivered share; empty if nothing was sent."""
        return percent_of(self.delivered, self.sent)


def percent_of(delivered: int, sent: int) -> str:
    """Returns `100`, `99.9`, `0`: 100 only if all were delivered, 0 only if none was; empty if none was sent."""
    if not sent:
        return ""
    if delivered == sent:
        return "100"
    if not delivered:
        return "0"
    return f"{min(max(100 * delivered / sent, 0.1), 99.9):.1f}".removesuffix(".0")


def numbers_of(endpoint_ids: Collection[int]) -> dict[int, EndpointNumbers]:
    """Returns the numbers of each of these endpoints. Two queries for any number of endpoints."""
    found = {endpoint_id: EndpointNumbers() for endpoint_id in endpoint_ids}
    now = timezone.now()
    with connection.cursor() as cursor:
        execute_in_index_order(
            cursor,
            WAITING,
            {"endpoints": list(found), "states": list(UNFINISHED), "limit": MAX_COUNT + 1},
        )
        for key, waiting, oldest in cursor.fetchall():
            found[key].waiting, found[key].oldest = limited(waiting), oldest
        execute_in_index_order(
            cursor,
            SENT,
            {
                "endpoints": list(found),
                "classes": ResponseClass.values,
                "since": now - PERIOD,
                "public_id": smallest_public_id(now - PERIOD - CLOCK_TOLERANCE),
                "seconds": PART_SECONDS,
                "limit": MAX_COUNT + 1,
            },
        )
        first = int(now.timestamp()) // PART_SECONDS - PARTS + 1
        for key, at, sent, delivered in cursor.fetchall():
            # The hour contains only a part of a thirteenth bar, and a clock may be slightly fast.
            part = found[key].parts[min(max(at - first, 0), PARTS - 1)]
            part[0] += sent
            part[1] += delivered
    for numbers in found.values():
        sent, delivered = (sum(part[place] for part in numbers.parts) for place in (0, 1))
        numbers.sent = limited(sent)
        numbers.delivered = Count.of(min(delivered, MAX_COUNT), more=sent > MAX_COUNT)
    return found


def with_waiting(endpoint_ids: Collection[int]) -> list[int]:
    """Returns those of these endpoints that have waiting hooks. One query for any number of endpoints."""
    with connection.cursor() as cursor:
        execute_in_index_order(
            cursor, WAITING, {"endpoints": list(endpoint_ids), "states": list(UNFINISHED), "limit": 1}
        )
        return [key for key, waiting, _ in cursor.fetchall() if waiting]


def total_of(several: Iterable[EndpointNumbers]) -> EndpointNumbers:
    """Returns the numbers of several endpoints together."""
    all_of_them = list(several)
    if len(all_of_them) == 1:
        return all_of_them[0]
    parts = [
        [sum(column) for column in zip(*place, strict=True)]
        for place in zip(*(one.parts for one in all_of_them), strict=True)
    ]
    return EndpointNumbers(
        waiting=limited_sum(one.waiting for one in all_of_them),
        oldest=min((one.oldest for one in all_of_them if one.oldest is not None), default=None),
        sent=limited_sum(one.sent for one in all_of_them),
        delivered=limited_sum(one.delivered for one in all_of_them),
        parts=parts or EndpointNumbers().parts,
    )


def limited_sum(counts: Iterable[Count]) -> Count:
    found = list(counts)
    number = sum(found)
    return Count.of(min(number, MAX_COUNT), more=number > MAX_COUNT or any(count.more for count in found))


def limited(number: int) -> Count:
    return Count.of(min(number, MAX_COUNT), more=number > MAX_COUNT)
