"""Counts the log's hooks by state: exact up to 10 000, then "10 000+", so that a million costs as much as 10 000."""

from __future__ import annotations

from typing import Any

from django.db.models import Count as CountRows
from django.db.models import OuterRef, Q, Subquery
from django.db.models.fields import IntegerField

from hooks.models import Endpoint, Hook, HookQuerySet, State

COUNT_MOST = 10_000


class Count(int):
    """A number of hooks; with `more`, a lower bound."""

    more = False

    @classmethod
    def of(cls, number: int, *, more: bool) -> Count:
        count = cls(number)
        count.more = more
        return count

    @property
    def words(self) -> str:
        """`7`, `10 000+`."""
        return f"{int(self):,}".replace(",", "\N{NO-BREAK SPACE}") + ("+" if self.more else "")


class RowsOf(Subquery):
    """The number of rows of a limited queryset."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def counts_by_state(endpoint_id: int, filtered: HookQuerySet | None = None) -> dict[str, Count]:
    """The number of one endpoint's hooks in each state. One query.

    Pass `filtered`, the matching hooks, if there are filters other than the state: the newest of them are counted,
    and with more than COUNT_MOST every number is a lower bound. Without it each state is counted in the index.
    """
    if filtered is None:
        each = Hook.objects.filter(endpoint_id=OuterRef("pk")).order_by()
        each_state: Any = (  # the stubs know no **
            Endpoint.objects.filter(pk=endpoint_id)
            .values(
                **{
                    state.value: RowsOf(each.filter(state=state).values("pk")[: COUNT_MOST + 1])
                    for state in State
                }
            )
            .get()
        )
        return {
            state: Count.of(min(number, COUNT_MOST), more=number > COUNT_MOST)
            for state, number in each_state.items()
        }
    newest = filtered.order_by("-pk")[: COUNT_MOST + 1]
    found = newest.aggregate(**{state.value: CountRows("pk", filter=Q(state=state)) for state in State})
    more = sum(found.values()) > COUNT_MOST
    return {state: Count.of(number, more=more) for state, number in found.items()}


def total(counts: dict[str, Count]) -> Count:
    """Returns the count of all states together."""
    return Count.of(sum(counts.values()), more=any(count.more for count in counts.values()))
