"""Counts the log's hooks by state: exact up to 10 000, then "10 000+", so that a million takes as long as 10 000."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext

from django.db import connection
from django.db.models import Count as CountRows
from django.db.models import Q

from hooks.log.index_order import execute_in_index_order, in_index_order
from hooks.models import HookQuerySet, Lane, State

MAX_COUNT = 10_000
# One probe of the index of states for each state, and one for the queued hooks that are being sent (see Lane). It is
# one subquery for all states: each is planned for every partition, and planning one per state took longer than
# counting. `= ANY (ARRAY[…])` with the column in ORDER BY: see endpoint_numbers.
COUNTS = """
SELECT endpoint.id, wanted.name, counted.number
FROM unnest(%(endpoints)s::bigint[]) AS endpoint (id)
LEFT JOIN hooks_lane l ON l.endpoint_id = endpoint.id
CROSS JOIN LATERAL (
    SELECT state, state, 9223372036854775807 FROM unnest(%(states)s::text[]) AS state
    UNION ALL SELECT 'being sent', 'queued', coalesce(l.cursor, 0)
) AS wanted (name, state, last_id)
CROSS JOIN LATERAL (
    SELECT count(*) FROM (
        SELECT FROM hooks_hook
        WHERE endpoint_id = endpoint.id AND state = ANY (ARRAY[wanted.state]) AND id <= wanted.last_id
        ORDER BY state, id LIMIT %(limit)s
    ) AS hooks
) AS counted (number)
"""


class Count(int):
    """A number of hooks; a lower bound if `more` is set."""

    more = False

    @classmethod
    def of(cls, number: int, *, more: bool) -> Count:
        count = cls(number)
        count.more = more
        return count

    @property
    def words(self) -> str:
        """Returns the number for pages: `7`, `10 000+`."""
        return f"{int(self):,}".replace(",", "\N{NO-BREAK SPACE}") + ("+" if self.more else "")


def counts_by_state(
    endpoint_ids: list[int], filtered: HookQuerySet | None = None, *, in_order: bool = False
) -> dict[str, Count]:
    """Returns the number of these endpoints' hooks in each state. One query; with `filtered`, one more than endpoints.

    If there are filters other than the state, pass their matching hooks as `filtered`: the newest are counted, and
    with more than MAX_COUNT every number is a lower bound. Without it each state is counted in the index.
    `in_order`: many hooks match, so the newest are read in the order of the log and not sorted.
    """
    numbers: Counter[str] = Counter(dict.fromkeys(State.values, 0))
    if filtered is None:
        for of_one in count_in_index(endpoint_ids):
            being_sent = of_one.pop("being sent")
            of_one[State.SENDING] += being_sent
            if of_one[State.QUEUED] <= MAX_COUNT:
                of_one[State.QUEUED] -= being_sent
            numbers.update(of_one)
        return {
            state: Count.of(min(number, MAX_COUNT), more=number > MAX_COUNT)
            for state, number in numbers.items()
        }
    cursors = dict(Lane.objects.filter(endpoint__in=endpoint_ids).values_list("endpoint_id", "cursor"))
    with in_index_order({}) if in_order else nullcontext():
        for endpoint_id in endpoint_ids:  # each by its own index: together they would be sorted
            newest = filtered.filter(endpoint_id=endpoint_id).order_by("-pk")[: MAX_COUNT + 1]
            is_claimed = Q(state=State.QUEUED, pk__lte=cursors.get(endpoint_id, 0))  # see Lane
            of_state = {state.value: Q(state=state) for state in State}
            of_state[State.SENDING] |= is_claimed
            of_state[State.QUEUED] &= ~is_claimed
            numbers.update(
                newest.aggregate(
                    **{state: CountRows("pk", filter=condition) for state, condition in of_state.items()}
                )
            )
    more = sum(numbers.values()) > MAX_COUNT
    return {state: Count.of(min(numbers[state], MAX_COUNT + 1), more=more) for state in State.values}


def count_in_index(endpoint_ids: list[int]) -> list[dict[str, int]]:
    """Returns the numbers of COUNTS of each endpoint."""
    found: dict[int, dict[str, int]] = {}
    with connection.cursor() as cursor:
        execute_in_index_order(
            cursor, COUNTS, {"endpoints": endpoint_ids, "states": State.values, "limit": MAX_COUNT + 1}
        )
        for endpoint_id, name, number in cursor.fetchall():
            found.setdefault(endpoint_id, {})[name] = number
    return list(found.values())


def total(counts: dict[str, Count]) -> Count:
    """Returns the count of all states together, up to MAX_COUNT: with one state cut off, a sum would mean nothing."""
    number, more = sum(counts.values()), any(count.more for count in counts.values())
    return Count.of(min(number, MAX_COUNT), more=more or number > MAX_COUNT)
