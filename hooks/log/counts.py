"""Counts the log's hooks by state: exact up to 10 000, then "10 000+", so that a million takes as long as 10 000."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext

from django.db import connection
from django.db.models import Count as CountRows
from django.db.models import F, Q

from hooks.log.index_order import execute_in_index_order, in_index_order
from hooks.models import Hook, HookQuerySet, Lane, State
from hooks.sql.lane_queries import newest_lane

MAX_COUNT = 10_000
# For each state, and for the queued hooks that are being sent (see Lane), the index of states is read, one endpoint
# after the other, until MAX_COUNT are found: 70 ms for 1 000 endpoints with a million hooks. All are one statement:
# each subquery is planned for every partition, and planning one per state took longer than counting.
# `= ANY (ARRAY[…])` with the column in ORDER BY: see endpoint_numbers.
# The cursor is looked up and not joined: a join may read all lanes for each endpoint, with the statistics of a small
# table. So may a look-up without an order.
COUNTS = f"""
SELECT wanted.name, (
    SELECT count(*) FROM (
        SELECT FROM unnest(%(endpoints)s::bigint[]) AS endpoint (id)
        CROSS JOIN LATERAL (
            SELECT FROM hooks_hook
            WHERE endpoint_id = endpoint.id AND state = ANY (ARRAY[wanted.state])
                AND id <= CASE WHEN wanted.name = 'being sent'
                    THEN coalesce(({newest_lane("l.cursor", "endpoint.id")}), 0)
                    ELSE 9223372036854775807 END
            ORDER BY state, id LIMIT %(limit)s
        ) AS of_endpoint
        LIMIT %(limit)s
    ) AS hooks
)
FROM (
    SELECT state, state FROM unnest(%(states)s::text[]) AS state UNION ALL SELECT 'being sent', 'queued'
) AS wanted (name, state)
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
        """Returns the number for pages: `7`, `10,000+`."""
        return f"{int(self):,}{'+' if self.more else ''}"


def counts_by_state(
    endpoint_ids: list[int], filtered: HookQuerySet | None = None, *, in_order: bool = False
) -> dict[str, Count]:
    """Returns the number of these endpoints' hooks in each state. One query; with `filtered`, one more than endpoints.

    If there are filters other than the state, pass their matching hooks as `filtered`: the newest are counted, and
    with more than MAX_COUNT every number is a lower bound. Without it each state is counted in the index.
    `in_order`: many hooks match, so the newest are read in the order of the log and not sorted.
    """
    if filtered is None:
        return count_in_index(endpoint_ids)
    numbers: Counter[str] = Counter(dict.fromkeys(State.values, 0))
    cursors = dict(Lane.objects.filter(endpoint__in=endpoint_ids).values_list("endpoint_id", "cursor"))
    with in_index_order({}) if in_order else nullcontext():
        for endpoint_id in endpoint_ids:  # each by its own index: together they would be sorted
            newest = filtered.filter(endpoint_id=endpoint_id).order_by("-pk")[: MAX_COUNT + 1]
            numbers.update(count_states(newest, Q(pk__lte=cursors.get(endpoint_id, 0))))
    return limited_counts(numbers)


def counts_of_newest(keys: list[int]) -> dict[str, Count]:
    """Returns the number of hooks in each state; `keys` are those of the newest that match, MAX_COUNT + 1 at most."""
    hooks = Hook.objects.filter(pk__in=keys).order_by()
    return limited_counts(Counter(count_states(hooks, Q(endpoint__lane__cursor__gte=F("pk")))))


def count_states(hooks: HookQuerySet, is_claimed: Q) -> dict[str, int]:
    """Counts the hooks by state. `is_claimed`: a dispatcher has claimed it if it is queued; see Lane. One query."""
    of_state = {state.value: Q(state=state) for state in State}
    of_state[State.SENDING] |= Q(state=State.QUEUED) & is_claimed
    of_state[State.QUEUED] &= ~is_claimed
    found: dict[str, int] = hooks.aggregate(
        **{state: CountRows("pk", filter=condition) for state, condition in of_state.items()}
    )
    return found


def limited_counts(numbers: Counter[str]) -> dict[str, Count]:
    more = sum(numbers.values()) > MAX_COUNT
    return {state: Count.of(min(numbers[state], MAX_COUNT + 1), more=more) for state in State.values}


def count_in_index(endpoint_ids: list[int]) -> dict[str, Count]:
    """Returns the number of hooks in each state, each up to MAX_COUNT. One query."""
    with connection.cursor() as cursor:
        execute_in_index_order(
            cursor, COUNTS, {"endpoints": endpoint_ids, "states": State.values, "limit": MAX_COUNT + 1}
        )
        found: dict[str, int] = dict(cursor.fetchall())
    being_sent = found.pop("being sent")
    found[State.SENDING] += being_sent
    if found[State.QUEUED] <= MAX_COUNT:
        found[State.QUEUED] -= being_sent
    return {
        state: Count.of(min(number, MAX_COUNT), more=number > MAX_COUNT) for state, number in found.items()
    }


def total(counts: dict[str, Count]) -> Count:
    """Returns the count of all states together, up to MAX_COUNT: with one state cut off, a sum would mean nothing."""
    number, more = sum(counts.values()), any(count.more for count in counts.values())
    return Count.of(min(number, MAX_COUNT), more=more or number > MAX_COUNT)
