"""Counts the log's hooks by state: exact up to 10 000, then "10 000+", so that a million takes as long as 10 000."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import Any

from django.db.models import Count as CountRows
from django.db.models import OuterRef, Q, Subquery
from django.db.models.fields import IntegerField

from hooks.log.index_order import in_index_order
from hooks.models import Endpoint, Hook, HookQuerySet, State, in_states

MAX_COUNT = 10_000


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


class RowsOf(Subquery):
    """The number of rows of a queryset with a LIMIT."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def counts_by_state(
    endpoint_ids: list[int], filtered: HookQuerySet | None = None, *, in_order: bool = False
) -> dict[str, Count]:
    """Returns the number of these endpoints' hooks in each state. One query; with `filtered`, one for each endpoint.

    If there are filters other than the state, pass their matching hooks as `filtered`: the newest are counted, and
    with more than MAX_COUNT every number is a lower bound. Without it each state is counted in the index.
    `in_order`: many hooks match, so the newest are read in the order of the log and not sorted.
    """
    if filtered is None:
        each = Hook.objects.filter(endpoint_id=OuterRef("pk")).order_by()
        claimed = Q(state=State.QUEUED, pk__lte=OuterRef("lane__cursor"))  # see Lane
        of_each: Any = Endpoint.objects.filter(
            pk__in=endpoint_ids
        ).values(  # django-stubs does not support **
            **{
                state.value: RowsOf(each.filter(state=state).values("pk")[: MAX_COUNT + 1]) for state in State
            },
            being_sent=RowsOf(each.filter(claimed).values("pk")[: MAX_COUNT + 1]),
        )
        numbers: Counter[str] = Counter(dict.fromkeys(State.values, 0))
        for of_one in of_each:
            being_sent = of_one.pop("being_sent")
            of_one[State.SENDING] += being_sent
            if of_one[State.QUEUED] <= MAX_COUNT:
                of_one[State.QUEUED] -= being_sent
            numbers.update(of_one)
        return {
            state: Count.of(min(number, MAX_COUNT), more=number > MAX_COUNT)
            for state, number in numbers.items()
        }
    found: Counter[str] = Counter()
    with in_index_order({}) if in_order else nullcontext():
        for endpoint_id in endpoint_ids:  # each by its own index: together they would be sorted
            newest = filtered.filter(endpoint_id=endpoint_id).order_by("-pk")[: MAX_COUNT + 1]
            found.update(
                newest.aggregate(
                    **{state.value: CountRows("pk", filter=in_states([state])) for state in State}
                )
            )
    more = sum(found.values()) > MAX_COUNT
    return {state: Count.of(min(found[state], MAX_COUNT + 1), more=more) for state in State.values}


def total(counts: dict[str, Count]) -> Count:
    """Returns the count of all states together, up to MAX_COUNT: with one state cut off, a sum would mean nothing."""
    number, more = sum(counts.values()), any(count.more for count in counts.values())
    return Count.of(min(number, MAX_COUNT), more=more or number > MAX_COUNT)
