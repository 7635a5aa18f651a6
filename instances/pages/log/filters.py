"""The delivery log's filters: query parameters become one selection, which the log, its export and redelivery use.

An unknown value is ignored, and the page says so; it never hides rows silently.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.utils import timezone

from chatapi.ui.numbers import parse_digits
from hooks.log.newest import newest_hooks
from hooks.log.recent import MANY, recent_keys
from hooks.log.selection import RESPONSES, Filter, matching
from hooks.models import Hook, HookQuerySet, Kind, State
from instances.chat_ids import MESSAGE_ID_LENGTH
from instances.pages.log import text_search, tokens
from instances.pages.log.text_search import containing

PERIODS: dict[str, tuple[str, timedelta]] = {
    "hour": ("last hour", timedelta(hours=1)),
    "day": ("last 24 hours", timedelta(days=1)),
    "week": ("last 7 days", timedelta(days=7)),
}
SIMULATED = {"yes": ("only simulated", True), "no": ("without simulated", False)}
STATES = {state.value: (state.label, state.value) for state in State}
# Parameter → value → its words, and what it stands for.
CHOICES: dict[str, Mapping[str, tuple[str, Any]]] = {
    "state": STATES,
    "kind": {kind.value: (kind.label, kind.value) for kind in Kind},
    "answer": {name: (words, name) for name, (words, _) in RESPONSES.items()},
    "period": PERIODS,
    "simulated": SIMULATED,
}
TEXTS = {"host": 255, "message": MESSAGE_ID_LENGTH, "text": 200}  # free text → its maximum length
ENDPOINT_DIGITS = 18  # of an endpoint's id, which is at most a bigint
TIMES = ("from", "to")  # ISO 8601, in UTC without a zone; the first is included, the second is not


@dataclass
class Filters:
    """`values` are the valid parameters, `ignored` the names of the others."""

    values: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    @classmethod
    def from_query(cls, given: Mapping[str, str]) -> Filters:
        filters = cls()
        for name, choices in CHOICES.items():
            value = given.get(name, "")
            if value in choices:
                filters.values[name] = value
            elif value:
                filters.ignored.append(name)
        for name, length in TEXTS.items():
            value = given.get(name, "").strip()
            if "\x00" in value or len(value) > length:
                filters.ignored.append(name)
            elif value:
                filters.values[name] = value
        status = given.get("status", "")
        if re.fullmatch(r"[1-5]\d\d", status):
            filters.values["status"] = status
        elif status:
            filters.ignored.append("status")
        endpoint = given.get("endpoint", "")
        if parse_digits(endpoint, max_digits=ENDPOINT_DIGITS) is not None:
            filters.values["endpoint"] = endpoint
        elif endpoint:
            filters.ignored.append("endpoint")
        for name in TIMES:
            value = given.get(name, "")
            try:
                if value:
                    filters.values[name] = parse_time(value).isoformat()
            except (ValueError, OverflowError):
                filters.ignored.append(name)
        return filters

    def __bool__(self) -> bool:
        return bool(self.values)

    def endpoint_ids(self, known: list[int]) -> list[int]:
        """The ids of the endpoints whose hooks are shown: the chosen one of `known`, or all of these.

        The id of another endpoint is ignored like any unknown value.
        """
        chosen = self.values.get("endpoint")
        if chosen is not None and int(chosen) in known:
            return [int(chosen)]
        if chosen is not None:
            del self.values["endpoint"]
            self.ignored.append("endpoint")
        return known

    def time_range(self) -> tuple[datetime | None, datetime | None]:
        """Start and end of the chosen time; None where it is open."""
        starts = []
        if "from" in self.values:
            starts.append(parse_time(self.values["from"]))
        if "period" in self.values:
            starts.append(timezone.now() - PERIODS[self.values["period"]][1])
        end = parse_time(self.values["to"]) if "to" in self.values else None
        return max(starts, default=None), end

    def selection(self, *, without: str = "") -> Filter:
        """These filters as a selection of hooks.log, except the text; a period becomes the time at which it starts.

        `without` leaves out one parameter, for the counts beside its choices.
        """
        values = {name: value for name, value in self.values.items() if name != without}
        selected: Filter = {}
        for name, key in (("state", "states"), ("kind", "kinds"), ("answer", "answers")):
            if name in values:
                selected[key] = [values[name]]
        if "endpoint" in values:
            selected["endpoint"] = int(values["endpoint"])
        if "simulated" in values:
            selected["simulated"] = SIMULATED[values["simulated"]][1]
        if "status" in values:
            selected["status"] = int(values["status"])
        if "host" in values:
            selected["host"] = values["host"].lower()  # as the dispatcher stores it
        if "message" in values:
            selected["message"] = values["message"]
        start, end = self.time_range()
        if start:
            selected["created_after"] = start.isoformat()
        if end:
            selected["created_before"] = end.isoformat()
        return selected

    def selection_for_job(self) -> Filter:
        """The selection that a redelivery keeps.

        Raises ValueError, with the parameter's name, for a text: a job reads all hooks, and bodies have no index.
        """
        if "text" in self.values:
            raise ValueError("text")
        return self.selection()

    def apply(self, hooks: HookQuerySet, *, without: str = "") -> HookQuerySet:
        """The hooks that match; `without` is as in selection()."""
        hooks = matching(hooks, self.selection(without=without))
        return containing(hooks, self.values["text"]) if "text" in self.values else hooks

    def newest(
        self,
        endpoint_ids: list[int],
        limit: int,
        *,
        before: int | None = None,
        hooks: HookQuerySet | None = None,
    ) -> list[Hook]:
        """The newest matching hooks of these endpoints with a key below `before`; `hooks` says what is read."""
        hooks = Hook.objects.show_sending() if hooks is None else hooks
        if "text" in self.values and len(endpoint_ids) > MANY:
            narrowed = None if before is None else Q(pk__lt=before)
            keys = self.recent_keys(endpoint_ids, limit, narrowed=narrowed)
            return list(hooks.filter(pk__in=keys).order_by("-pk"))
        if "text" not in self.values:
            return newest_hooks(hooks, self.selection(), endpoint_ids, limit, before=before)
        # The text is searched in the newest hooks of these endpoints, so they are chosen first.
        found = self.apply(hooks.of_endpoints(endpoint_ids)).order_by("-pk")
        return list((found if before is None else found.filter(pk__lt=before))[:limit])

    def recent_keys(
        self, endpoint_ids: list[int], limit: int, *, narrowed: Q | None = None, without: str = ""
    ) -> list[int]:
        """The keys of the newest matching hooks of many endpoints, newest first; see hooks.log.recent.

        `narrowed` is a condition in addition to the filters, `without` as in selection(). A text is searched in the
        newest hooks that match the other filters.
        """
        selected = self.selection(without=without)
        if "text" not in self.values:
            return recent_keys(endpoint_ids, selected, limit=limit, narrowed=narrowed)
        searched = recent_keys(endpoint_ids, selected, limit=text_search.SEARCHED_MAX)
        found = containing(Hook.objects.filter(pk__in=searched), self.values["text"]).filter(narrowed or Q())
        return list(found.order_by("-pk").values_list("pk", flat=True)[:limit])

    def apply_beyond(self, hooks: HookQuerySet, ignorable: Collection[str]) -> HookQuerySet | None:
        """The hooks that match all filters but the state; None if only filters named in `ignorable` are set."""
        return self.apply(hooks, without="state") if self.is_beyond(ignorable) else None

    def is_beyond(self, ignorable: Collection[str]) -> bool:
        """Whether other filters than these are set."""
        return bool(self.values.keys() - ignorable)

    @property
    def matches_many(self) -> bool:
        """Whether an index has the matching hooks in the order of the log; otherwise they are few, and sorted."""
        return not self.values.keys() & {"message", "text"} and self.values.get("answer") != "2xx"

    @property
    def line(self) -> str:
        """These filters as one line of text."""
        return tokens.write(self.values)

    def query(self, **changes: str | None) -> str:
        """The query string with these changes; None removes a parameter."""
        values: dict[str, str | None] = {**self.values, **changes}
        return urlencode({name: value for name, value in values.items() if value})


def parse_time(value: str) -> datetime:
    """Raises ValueError if `value` is not ISO 8601."""
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def input_value(value: str) -> str:
    """A time as `<input type="datetime-local">` takes it, in UTC; with seconds only if there are any."""
    if not value:
        return ""
    moment = parse_time(value)
    return moment.strftime("%Y-%m-%dT%H:%M:%S" if moment.second else "%Y-%m-%dT%H:%M")
