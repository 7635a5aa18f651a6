"""Search, order, groups by state and pages of the list of a user's instances.

Query parameters: `q`, `state` (of GROUPS or TABS), `sort`, `group`, and `after`, the number of the last instance of the
previous page. Every page costs the same. Of a search, those with all its words in the name come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import and_
from typing import Any, NamedTuple

from django.db.models import (
    Case,
    CharField,
    Count,
    F,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Lower
from django.utils import timezone

from chatapi.ui.numbers import INSTANCE_NUMBER_DIGITS, parse_digits
from hooks.log.endpoint_numbers import with_waiting
from hooks.models import Endpoint, PauseReason
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
# Above the list, with whatever state they are in.
FAILING = Group("failing", "Failing")
WITH_HOOKS = Group("hooks", "Waiting")  # hooks that wait
NOT_LINKED = Group("not_linked", "Not linked")
TABS = (FAILING, WITH_HOOKS, NOT_LINKED)
NOT_LINKED_RANKS = (RANKS[UNLINKED], RANKS["waiting"])
# The order of "Trouble first": after the failing ones, those of GROUPS but the last two.
NO_TROUBLE = len(GROUPS)


class Sort(NamedTuple):
    """Orders by `field`; `down` is True for descending order."""

    label: str
    field: str
    down: bool = False


SORTS = {
    "trouble": Sort("Trouble first", "trouble"),
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
            state=state if state in RANKS or state in {tab.key for tab in TABS} else "",
            sort=sort if sort in SORTS else "trouble",
            grouped=query.get("group") == "state",
            after=parse_digits(after, max_digits=INSTANCE_NUMBER_DIGITS),
        )

    @property
    def is_plain(self) -> bool:
        """Whether it is the list without any search, filter or later page."""
        return not (self.q or self.state or self.grouped or self.after)


class Page(NamedTuple):
    """`counts` and `tabs` are of all matching instances, in any state; the waiting ones are not counted (None)."""

    instances: list[Instance]
    counts: list[tuple[Group, int]]
    tabs: list[tuple[Group, int | None]]
    more: bool

    @property
    def total(self) -> int:
        return sum(count for _, count in self.counts)


def ranked(visible: InstanceQuerySet, q: str = "") -> Any:
    """Adds what is sorted by.

    `rank`: the index of the state in GROUPS · `lower_name` · `failing_since`: since when all hooks of one of its
    endpoints have failed, also if it was paused for that reason · `trouble`: 0 for a failing one · `name_rank`: 0 if
    all words of the search are in the name
    """
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
    failing = Endpoint.objects.present().filter(
        Q(paused_at=None) | Q(pause_reason=PauseReason.FAILING),
        instance=OuterRef("pk"),
        failing_since__isnull=False,
    )
    return visible.annotate(
        rank=rank,
        lower_name=Lower("name"),
        failing_since=Subquery(failing.order_by("failing_since").values("failing_since")[:1]),
        trouble=Case(
            When(rank__gt=RANKS[NOT_PAID], failing_since__isnull=False, then=Value(0)),
            When(rank__lte=RANKS["waiting"], then=F("rank") + 1),
            default=Value(NO_TROUBLE),
            output_field=IntegerField(),
        ),
        name_rank=Case(When(in_name(q), then=Value(0)), default=Value(1), output_field=IntegerField())
        if q.split()
        else Value(0),
    )


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


def page_of(visible: InstanceQuerySet, asked: Asked, *, size: int) -> Page:
    """A page of `size` instances. Two queries, three for a later page; two more for those with waiting hooks."""
    rows = found(ranked(visible, asked.q), asked.q)
    is_failing = Q(trouble=0)
    numbers: dict[int, int] = {}
    failing = 0
    for rank, count, failing_count in (
        rows.order_by().values_list("rank").annotate(n=Count("pk"), failing=Count("pk", filter=is_failing))
    ):
        numbers[rank] = count
        failing += failing_count
    counts = [(group, numbers.get(rank, 0)) for rank, group in enumerate(GROUPS)]
    tabs: list[tuple[Group, int | None]] = [
        (FAILING, failing),
        (WITH_HOOKS, None),
        (NOT_LINKED, sum(numbers.get(rank, 0) for rank in NOT_LINKED_RANKS)),
    ]
    if asked.state in RANKS:
        rows = rows.filter(rank=RANKS[asked.state])
    elif asked.state == FAILING.key:
        rows = rows.filter(is_failing)
    elif asked.state == NOT_LINKED.key:
        rows = rows.filter(rank__in=NOT_LINKED_RANKS)
    elif asked.state == WITH_HOOKS.key:
        known = Endpoint.objects.present().of_instances(visible).values_list("pk", "instance")
        instances = dict(known)
        rows = rows.filter(pk__in={instances[key] for key in with_waiting(list(instances))})
    sort = SORTS[asked.sort]
    order = [("rank", False)] if asked.grouped else []
    order += [("name_rank", False)] if asked.q else []
    order += [(sort.field, sort.down)]
    if sort.field != "pk":
        order.append(("pk", sort.down or sort.field == "trouble"))
    if asked.after is not None:
        last = ranked(visible, asked.q).filter(number=min(asked.after, 2**31 - 1)).first()
        rows = rows.filter(rows_after(order, last)) if last else rows
    ordered = rows.order_by(*(F(field).desc() if down else F(field).asc() for field, down in order))
    found_rows = list(ordered.select_related("endpoint")[: size + 1])
    return Page(found_rows[:size], counts, tabs, len(found_rows) > size)
