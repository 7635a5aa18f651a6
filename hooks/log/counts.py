"""Counts the log's hooks by state: exact up to 10 000, then "10 000+", so that a million takes as long as 10 000."""

from __future__ import annotations

from typing import Any

from django.db.models import Count as CountRows
from django.db.models import OuterRef, Q, Subquery
from django.db.models.fields import IntegerField

from hooks.models import Endpoint, Hook, HookQuerySet, State

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


def counts_by_state(endpoint_id: int, filtered: HookQuerySet | None = None) -> dict[str, Count]:
    """Returns the number of one endpoint's hooks in each state. One query.

    If there are filters other than the state, pass the matching hooks as `filtered`: the newest are counted, and
    with more than MAX_COUNT every number is a lower bound. Without it each state is counted in the index.
    """
    if filtered is None:
        each = Hook.objects.filter(endpoint_id=OuterRef("pk")).order_by()
        each_state: Any = (  # django-stubs does not support **
            Endpoint.objects.filter(pk=endpoint_id)
            .values(
                **{
                    state.value: RowsOf(each.filter(state=state).values("pk")[: MAX_COUNT + 1])
                    for state in State
                }
            )
            .get()
        )
        return {
            state: Count.of(min(number, MAX_COUNT), more=number > MAX_COUNT)
            for state, number in each_state.items()
        }
    newest = filtered.order_by("-pk")[: MAX_COUNT + 1]
    found = newest.aggregate(**{state.value: CountRows("pk", filter=Q(state=state)) for state in State})
    more = sum(found.values()) > MAX_COUNT
    return {state: Count.of(number, more=more) for state, number in found.items()}


def total(counts: dict[str, Count]) -> Count:
    """Returns the count of all states together, up to MAX_COUNT: with one state cut off, a sum would mean nothing."""
    number, more = sum(counts.values()), any(count.more for count in counts.values())
    return Count.of(min(number, MAX_COUNT), more=more or number > MAX_COUNT)
