"""The status history of an instance: each status with its start and end; frequent changes are collapsed.

The history is recorded while `instanceStatuses` is on (contract.md, section 2). The number of changes in the last
minutes does not need it: it is counted from the status hooks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from chatapi.ui.durations import in_words
from chatapi.ui.states import INSTANCE_STATES
from hooks.models import Hook, Kind
from instances.models import AccountStatus, Instance, StatusChange, Substatus

FLAP_WINDOW = timedelta(minutes=10)
FLAP_CHANGES = 6  # this many changes within FLAP_WINDOW are shown as one line
PAGE_SIZE = 100
MAX_COUNTED = 1000  # hooks; more changes in ten minutes are shown as "1000 times"

MEANINGS = {
    Substatus.NORMAL: "",
    Substatus.PHONE: "the phone is not connected",
    Substatus.COMPUTER: "trying to reach the phone",
    Substatus.OFFLINE: "this server is not connected",
    Substatus.BATTERY_LOW: "the phone's battery is low",
    Substatus.BATTERY_LOW_1: "the phone's battery is low",
    Substatus.BATTERY_LOW_2: "the phone's battery is very low",
    Substatus.SYNCING: "synchronising",
    Substatus.LOADING: "the messenger is loading",
    Substatus.EXPIRED: "expired",
    Substatus.OPENING: "opening",
    Substatus.PAIRING: "pairing",
    Substatus.TIMEOUT: "the phone did not respond in time",
}


class RecentChanges(NamedTuple):
    """How often the status changed in the last ten minutes."""

    times: int
    minutes: int

    @property
    def is_flapping(self) -> bool:
        return self.times >= FLAP_CHANGES

    @property
    def words(self) -> str:
        return f"{self.times} times in {self.minutes} min"


def count_recent_changes(instance: Instance) -> RecentChanges:
    """Returns the number of changes: every change creates a hook, even if it is skipped. One query.

    Filters may keep the hooks of a change from some endpoints, so the endpoint with the most counts.
    """
    since = timezone.now() - FLAP_WINDOW
    status_hooks = Hook.objects.of_instance(instance).filter(kind=Kind.STATUS, simulated=False).since(since)
    found = status_hooks.order_by("-pk").values_list("endpoint_id", flat=True)
    of_each = Counter(found[: MAX_COUNTED * len(instance.endpoint.sibling_ids)])
    times = min(max(of_each.values(), default=0), MAX_COUNTED)
    return RecentChanges(times, int(FLAP_WINDOW.total_seconds() // 60))


class Period(NamedTuple):
    """A status from `at` to `until` (None: it is the current status)."""

    key: int
    word: str
    color: str
    meaning: str
    status: str
    substatus: str
    at: datetime
    until: datetime | None

    @property
    def duration(self) -> str:
        return in_words((self.until or timezone.now()) - self.at)


class Line(NamedTuple):
    """One line of the history: one period, or several collapsed ones, newest first."""

    periods: list[Period]

    @property
    def first(self) -> Period:
        return self.periods[0]

    @property
    def is_flapping(self) -> bool:
        return len(self.periods) > 1

    @property
    def words(self) -> str:
        """Such as "changed 14 times in 10 min", in whole minutes, rounded up."""
        span = self.periods[0].at - self.periods[-1].at
        return f"changed {len(self.periods)} times in {-(-span // timedelta(minutes=1))} min"

    @property
    def duration(self) -> str:
        return in_words((self.periods[0].until or timezone.now()) - self.periods[-1].at)


class History(NamedTuple):
    lines: list[Line]
    newest: int  # key of the newest matching change; polls count the changes after it
    older: int | None  # the next page has the changes before this key


def build_period(change: Any) -> Period:
    status = AccountStatus(change.account_status)
    look = INSTANCE_STATES[status]
    return Period(
        change.pk,
        look.word,
        look.color if change.substatus == Substatus.NORMAL else "orange",
        MEANINGS[Substatus(change.substatus)],
        status,
        change.substatus,
        change.at,
        change.until,
    )


def collapse(periods: Sequence[Period]) -> list[Line]:
    """Returns the lines, in the same order: FLAP_CHANGES or more changes within ten minutes become one line."""
    lines, place = [], 0
    while place < len(periods):
        end = place + 1
        while end < len(periods) and periods[place].at - periods[end].at <= FLAP_WINDOW:
            end += 1
        if end - place < FLAP_CHANGES:
            end = place + 1
        lines.append(Line(list(periods[place:end])))
        place = end
    return lines


def status_changes(instance: Instance, status: str) -> Any:
    """Returns the changes of the instance, to one accountStatus only if that is given."""
    found = StatusChange.objects.filter(instance=instance)
    return found.filter(account_status=status) if status else found


def read_history(instance: Instance, *, status: str = "", before: int | None = None) -> History:
    """Returns a page of the history, of one accountStatus only if that is given. Two queries."""
    followed_by = StatusChange.objects.filter(instance=instance, at__gt=OuterRef("at")).order_by("at")
    found = status_changes(instance, status).annotate(until=Subquery(followed_by.values("at")[:1]))
    if before is not None:
        found = found.filter(pk__lt=before)
    rows: Iterable[Any] = found.order_by("-at", "-pk")[: PAGE_SIZE + 1]
    periods = [build_period(row) for row in rows]
    older = periods[PAGE_SIZE - 1].key if len(periods) > PAGE_SIZE else None
    newest = status_changes(instance, status).order_by("-pk").values_list("pk", flat=True).first()
    return History(collapse(periods[:PAGE_SIZE]), newest or 0, older)


def count_since(instance: Instance, key: int, *, status: str = "") -> int:
    """Returns the number of changes after this key. One query."""
    return int(status_changes(instance, status).filter(pk__gt=key).count())
