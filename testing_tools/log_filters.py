"""The delivery log's filters: what stands in the address, checked, and the hooks that fit.

A value that makes no sense is dropped, and the page says so; it never hides rows in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from hooks.models import AnswerClass, Hook, HookQuerySet, Kind, State
from hooks.selection import Filter as Selection

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
TEXTS = {"host": 255, "message": 200}  # free text and how much of it


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
        return filters

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
        if "simulated" in values:
            hooks = hooks.filter(simulated=SIMULATED[values["simulated"]][1])
        if "host" in values:
            hooks = hooks.filter(last_host=values["host"].lower())
        if "message" in values:
            hooks = hooks.filter(Q(message=values["message"]) | own_id(values["message"]))
        return hooks

    def as_selection(self) -> Selection:
        """The same for a job, which keeps it: the period as the moment at which it begins now."""
        values = self.values
        found: Selection = {}
        for name, key in (("state", "states"), ("kind", "kinds")):
            if name in values:
                found[key] = [values[name]]
        if "answer" in values:
            found["answers"] = ["not-200" if values["answer"] == "2xx" else values["answer"]]
        if "period" in values:
            found["created_after"] = (timezone.now() - PERIODS[values["period"]][1]).isoformat()
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
