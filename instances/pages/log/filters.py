"""The delivery log's filters: what stands in the address, checked, and the hooks that fit.

A value that makes no sense is dropped, and the page says so; it never hides rows in silence.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import BinaryField, F, Func, IntegerField, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from hooks.log.selection import Filter as Selection
from hooks.models import AnswerClass, Hook, HookQuerySet, Kind, State, happened_before, happened_since

ANSWERS = {answer.value: (answer.label, answer.value) for answer in AnswerClass}
PERIODS: dict[str, tuple[str, timedelta]] = {
    "hour": ("last hour", timedelta(hours=1)),
    "day": ("last 24 hours", timedelta(days=1)),
    "week": ("last 7 days", timedelta(days=7)),
}
SIMULATED = {"yes": ("only simulated", True), "no": ("without simulated", False)}
STATES = {state.value: (state.label, state.value) for state in State}
KINDS = {kind.value: (kind.label, kind.value) for kind in Kind}
# name in the address → the values it takes
CHOICES: dict[str, Mapping[str, tuple[str, Any]]] = {
    "state": STATES,
    "kind": KINDS,
    "answer": ANSWERS,
    "period": PERIODS,
    "simulated": SIMULATED,
}
TEXTS = {"host": 255, "message": 200, "text": 200}  # free text and how much of it
MOMENTS = ("from", "to")  # ISO 8601, in UTC where it names no zone; the first is included, the second is not
# Bodies have no index: words are looked for in so many of the newest hooks that fit the other filters.
TEXT_MOST = 5_000


@dataclass
class Filters:
    """`values` holds what was understood, `dropped` the names of what was not."""

    values: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Filters:
        filters = cls()
        for name, choices in CHOICES.items():
            value = given.get(name, "")
            if value in choices:
                filters.values[name] = value
            elif value:
                filters.dropped.append(name)
        for name, length in TEXTS.items():
            value = given.get(name, "").strip()
            if "\x00" in value or len(value) > length:
                filters.dropped.append(name)
            elif value:
                filters.values[name] = value
        for name in MOMENTS:
            value = given.get(name, "")
            try:
                if value:
                    filters.values[name] = as_moment(value).isoformat()
            except (ValueError, OverflowError):
                filters.dropped.append(name)
        return filters

    def moment(self, name: str) -> datetime | None:
        """`from` or `to`."""
        return as_moment(self.values[name]) if name in self.values else None

    def time_range(self) -> tuple[datetime | None, datetime | None]:
        """Start and end of the time chosen; None where it is open."""
        period = PERIODS[self.values["period"]][1] if "period" in self.values else None
        starts = [at for at in (self.moment("from"), timezone.now() - period if period else None) if at]
        return max(starts, default=None), self.moment("to")

    def restrict(self, hooks: HookQuerySet, *, besides: Collection[str]) -> HookQuerySet | None:
        """The hooks that match all filters but the state; None if only filters named in `besides` are set."""
        return self.apply(hooks, without="state") if self.values.keys() - besides else None

    def __bool__(self) -> bool:
        return bool(self.values)

    def apply(self, hooks: HookQuerySet, *, without: str = "") -> HookQuerySet:
        """The hooks that fit; `without` leaves one filter out, for counts beside its choices."""
        values = {name: value for name, value in self.values.items() if name != without}
        if "state" in values:
            hooks = hooks.filter(state=values["state"])
        if "kind" in values:
            hooks = hooks.filter(kind=values["kind"])
        if "answer" in values:
            hooks = hooks.filter(last_answer=values["answer"])
        if "period" in values:
            hooks = hooks.since(timezone.now() - PERIODS[values["period"]][1])
        if "from" in values:
            hooks = hooks.filter(happened_since(as_moment(values["from"])))
        if "to" in values:
            hooks = hooks.filter(happened_before(as_moment(values["to"])))
        if "simulated" in values:
            hooks = hooks.filter(simulated=SIMULATED[values["simulated"]][1])
        if "host" in values:
            hooks = hooks.filter(last_host=values["host"].lower())
        if "message" in values:
            hooks = hooks.filter(Q(message=values["message"]) | own_id(values["message"]))
        if "text" in values:
            hooks = with_text(hooks, values["text"])
        return hooks

    def as_selection(self) -> Selection:
        """The same for a job, which keeps it: the period as the moment at which it begins now.

        Raises ValueError with a text: a job looks at all hooks, and their bodies have no index.
        """
        values = self.values
        if "text" in values:
            raise ValueError("text")
        found: Selection = {}
        for name, key in (("state", "states"), ("kind", "kinds")):
            if name in values:
                found[key] = [values[name]]
        if "answer" in values:
            found["answers"] = ["not-200" if values["answer"] == "2xx" else values["answer"]]
        if "period" in values:
            found["created_after"] = (timezone.now() - PERIODS[values["period"]][1]).isoformat()
        if "from" in values:
            found["created_after"] = max(values["from"], found.get("created_after", ""))
        if "to" in values:
            found["created_before"] = values["to"]
        if "simulated" in values:
            found["simulated"] = SIMULATED[values["simulated"]][1]
        if "host" in values:
            found["host"] = values["host"].lower()
        if "message" in values:
            found["message"] = values["message"]
        return found

    def query(self, **changes: str | None) -> str:
        """The address's query with these changes; None takes a name out."""
        values: dict[str, str | None] = {**self.values, **changes}
        return urlencode({name: value for name, value in values.items() if value})


def as_moment(value: str) -> datetime:
    """Raises ValueError for what is no time."""
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def as_typed(value: str) -> str:
    """A moment as <input type="datetime-local"> takes it, in UTC; to the second where it has any."""
    if not value:
        return ""
    moment = as_moment(value)
    return moment.strftime("%Y-%m-%dT%H:%M:%S" if moment.second else "%Y-%m-%dT%H:%M")


class PlaceIn(Func):
    """Where bytes stand in others, from 1 on; 0: nowhere."""

    function = "POSITION"
    arg_joiner = " IN "
    output_field = IntegerField()


def with_text(hooks: HookQuerySet, text: str) -> HookQuerySet:
    """Those of the newest TEXT_MOST whose bodies hold the text, letter by letter, as it is or as JSON writes it."""
    oldest = hooks.order_by("-pk").values("pk")[TEXT_MOST - 1 : TEXT_MOST]
    forms = {text.encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode()}
    places = {
        f"place_{number}": PlaceIn(Value(form, BinaryField()), F("body")) for number, form in enumerate(forms)
    }
    holds = Q(pk__in=[])
    for name in places:
        holds |= Q(**{f"{name}__gt": 0})
    return hooks.alias(**places).filter(holds, pk__gte=Coalesce(Subquery(oldest), 0))


def own_id(text: str) -> Q:
    """The field for a message's id also takes a hook's own, as the webhook-id header says it."""
    try:
        return Q(public_id=UUID(text.removeprefix("hook_")))
    except ValueError:
        return Q(pk__in=[])


def newer_than(hooks: HookQuerySet, last: int) -> HookQuerySet:
    return hooks.filter(pk__gt=last)


def as_key(text: str) -> int | None:
    """A row's key out of the address, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def page_of(hooks: HookQuerySet, *, before: int | None, size: int) -> tuple[list[Hook], bool]:
    """Newest first, those older than the key `before`; and whether there are still older ones.

    By key and not by page number: rows that come in meanwhile neither repeat nor hide one, and the
    thousandth page costs what the first one costs.
    """
    if before is not None:
        hooks = hooks.filter(pk__lt=before)
    found = list(hooks.defer("body").order_by("-pk")[: size + 1])
    return found[:size], len(found) > size
