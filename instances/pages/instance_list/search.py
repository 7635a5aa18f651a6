"""Search, order, groups by state and pages of the list of a user's instances.

Query parameters: `q`, `state`, `sort`, `group`, and `after`, the number of the last instance of the previous page.
Every page costs the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import and_
from typing import Any, NamedTuple

from django.db.models import Case, CharField, Count, F, IntegerField, Q, Value, When
from django.db.models.functions import Cast, Lower
from django.utils import timezone

from chatapi.ui.numbers import INSTANCE_NUMBER_DIGITS, parse_digits
from instances.models import NOT_PAID, AccountStatus, Channel, Instance, InstanceQuerySet

PAGE_SIZE = 60
STOPPED = "stopped"
UNLINKED = "unlinked"


class Group(NamedTuple):
    """The instances of one state; `key` is the query parameter's value, `word` the heading."""

    key: str
    word: str


# Those that need attention first.
GROUPS = (
    Group(STOPPED, "Stopped"),
    Group(NOT_PAID, "Not paid"),
    Group(UNLINKED, "Not linked"),
    Group("waiting", "Waiting for the scan"),
    Group("starting", "Starting or loading"),
    Group("authenticated", "Authenticated"),
)
RANKS = {group.key: rank for rank, group in enumerate(GROUPS)}


class Sort(NamedTuple):
    """Orders by `field`; `down` is True for descending order."""

    label: str
    field: str
    down: bool = False


SORTS = {
    "made": Sort("Newest first", "pk", down=True),
    "name": Sort("Name", "lower_name"),
    "number": Sort("Number", "number"),
    "paid": Sort("Paid until, soonest first", "paid_until"),
    "changed": Sort("Latest status change first", "status_changed_at", down=True),
}


class Asked(NamedTuple):
    """The query parameters; invalid ones count as not given."""

    q: str
    state: str
    sort: str
    grouped: bool
    after: int | None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Asked:
        after, state, sort = query.get("after", ""), query.get("state", ""), query.get("sort", "")
        return cls(
            q=query.get("q", "").replace("\0", "").strip()[:100],
            state=state if state in RANKS else "",
            sort=sort if sort in SORTS else "made",
            grouped=query.get("group") == "state",
            after=parse_digits(after, max_digits=INSTANCE_NUMBER_DIGITS),
        )

    @property
    def is_plain(self) -> bool:
        """Whether it is the list without any search, filter or later page."""
        return not (self.q or self.state or self.grouped or self.after)


class Page(NamedTuple):
    instances: list[Instance]
    counts: list[tuple[Group, int]]  # of all matching instances, in any state
    more: bool

    @property
    def total(self) -> int:
        return sum(count for _, count in self.counts)


def ranked(visible: InstanceQuerySet) -> Any:
    """Adds `rank`, the index of the state in GROUPS, and `lower_name`, for sorting."""
    status = AccountStatus
    rank = Case(
        When(stopped_at__isnull=False, then=Value(RANKS[STOPPED])),
        When(paid_until__lte=timezone.now(), then=Value(RANKS[NOT_PAID])),
        # Instance.is_unlinked
        When(~Q(channel=Channel.SANDBOX), account_status=status.INIT, then=Value(RANKS[UNLINKED])),
        When(account_status=status.GOT_QR_CODE, then=Value(RANKS["waiting"])),
        When(account_status=status.AUTHENTICATED, then=Value(RANKS["authenticated"])),
        default=Value(RANKS["starting"]),
        output_field=IntegerField(),
    )
    return visible.annotate(rank=rank, lower_name=Lower("name"))


def found(rows: Any, q: str) -> Any:
    """The rows with every word in the name, the number, the phone number or the webhook URL."""
    rows = rows.annotate(number_text=Cast("number", CharField()))
    for word in q.split():
        digits = word.lstrip("+")
        rows = rows.filter(
            Q(name__icontains=word)
            | Q(number_text__contains=digits)
            | Q(phone__contains=digits)
            | Q(endpoint__url__icontains=word)
        )
    return rows


def in_name(q: str) -> Q:
    """The condition that every word is in the name."""
    return reduce(and_, (Q(name__icontains=word) for word in q.split()), Q())


def rows_after(order: list[tuple[str, bool]], row: Any) -> Q:
    """The condition for the rows after `row`; `order` has fields, each with True for descending."""
    after, same = Q(), Q()
    for field, down in order:
        value = getattr(row, field)
        after |= same & Q(**{f"{field}__{'lt' if down else 'gt'}": value})
        same &= Q(**{field: value})
    return after


def page_of(visible: InstanceQuerySet, asked: Asked) -> Page:
    """One page. Two queries, three for a later page."""
    rows = found(ranked(visible), asked.q)
    numbers = dict(rows.order_by().values_list("rank").annotate(n=Count("pk")))
    counts = [(group, numbers.get(rank, 0)) for rank, group in enumerate(GROUPS)]
    if asked.state:
        rows = rows.filter(rank=RANKS[asked.state])
    sort = SORTS[asked.sort]
    order = [("rank", False)] if asked.grouped else []
    order += [(sort.field, sort.down)]
    if sort.field != "pk":
        order.append(("pk", sort.down))
    if asked.after is not None:
        last = ranked(visible).filter(number=min(asked.after, 2**31 - 1)).first()
        rows = rows.filter(rows_after(order, last)) if last else rows
    ordered = rows.order_by(*(F(field).desc() if down else F(field).asc() for field, down in order))
    found_rows = list(ordered.select_related("endpoint")[: PAGE_SIZE + 1])
    return Page(found_rows[:PAGE_SIZE], counts, len(found_rows) > PAGE_SIZE)
