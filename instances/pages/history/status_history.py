"""How the status of an instance went: what it was from when to when, with a flapping one collapsed.

The history is kept while `instanceStatuses` is on (contract.md, section 2). How often the status changed in the last
minutes is known without it, from the hooks that tell of the changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from chatapi.ui.durations import in_words
from chatapi.ui.states import INSTANCE_STATES
from hooks.models import Hook, Kind
from instances.models import AccountStatus, Instance, StatusChange, Substatus

WITHIN = timedelta(minutes=10)
FLAPS = 6  # changes within WITHIN are shown as one line
PAGE_SIZE = 100
MOST_COUNTED = 1000  # hooks; who flaps more than that in ten minutes flaps "1000 times"

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
    Substatus.TIMEOUT: "the phone did not answer in time",
}


class Recent(NamedTuple):
    """How often the status changed within the last ten minutes."""

    times: int
    minutes: int

    @property
    def is_flapping(self) -> bool:
        return self.times >= FLAPS

    @property
    def words(self) -> str:
        return f"{self.times} times in {self.minutes} min"


def recent_changes(instance: Instance) -> Recent:
    """One query; every change has made a hook, sent or skipped. Simulated ones are no change."""
    since = timezone.now() - WITHIN
    told = Hook.objects.filter(endpoint_id=instance.pk, kind=Kind.STATUS, simulated=False).since(since)
    times = len(told.order_by("-pk").values_list("pk")[:MOST_COUNTED])
    return Recent(times, int(WITHIN.total_seconds() // 60))


class Stay(NamedTuple):
    """A status from `at` to `until` (None: still so)."""

    key: int
    word: str
    color: str
    meaning: str
    status: str
    substatus: str
    at: datetime
    until: datetime | None

    @property
    def lasted(self) -> str:
        return in_words((self.until or timezone.now()) - self.at)


class Line(NamedTuple):
    """One line of the history: a single stay, or a flapping that hides several; the newest first."""

    stays: list[Stay]

    @property
    def first(self) -> Stay:
        return self.stays[0]

    @property
    def is_flapping(self) -> bool:
        return len(self.stays) > 1

    @property
    def words(self) -> str:
        """As "changed 14 times in 10 min"; whole minutes, rounded up."""
        span = self.stays[0].at - self.stays[-1].at
        return f"changed {len(self.stays)} times in {-(-span // timedelta(minutes=1))} min"

    @property
    def lasted(self) -> str:
        return in_words((self.stays[0].until or timezone.now()) - self.stays[-1].at)


class History(NamedTuple):
    lines: list[Line]
    newest: int  # key of the newest change of all that fit; the poll asks for what came behind it
    older: int | None  # key before which the next page begins


def stay_of(change: Any) -> Stay:
    status = AccountStatus(change.account_status)
    look = INSTANCE_STATES[status]
    return Stay(
        change.pk,
        look.word,
        look.color if change.substatus == Substatus.NORMAL else "orange",
        MEANINGS[Substatus(change.substatus)],
        status,
        change.substatus,
        change.at,
        change.until,
    )


def collapse(stays: Sequence[Stay]) -> list[Line]:
    """Where FLAPS changes or more lie within ten minutes they become one line; the order is kept."""
    lines, place = [], 0
    while place < len(stays):
        end = place + 1
        while end < len(stays) and stays[place].at - stays[end].at <= WITHIN:
            end += 1
        if end - place < FLAPS:
            end = place + 1
        lines.append(Line(list(stays[place:end])))
        place = end
    return lines


def changes_of(instance: Instance, status: str) -> Any:
    found = StatusChange.objects.filter(instance=instance)
    return found.filter(account_status=status) if status else found


def history_of(instance: Instance, *, status: str = "", before: int | None = None) -> History:
    """A page of the history, of one accountStatus alone if that is given. Two queries."""
    followed_by = StatusChange.objects.filter(instance=instance, at__gt=OuterRef("at")).order_by("at")
    found = changes_of(instance, status).annotate(until=Subquery(followed_by.values("at")[:1]))
    if before is not None:
        found = found.filter(pk__lt=before)
    rows: Iterable[Any] = found.order_by("-at", "-pk")[: PAGE_SIZE + 1]
    stays = [stay_of(row) for row in rows]
    older = stays[PAGE_SIZE - 1].key if len(stays) > PAGE_SIZE else None
    newest = changes_of(instance, status).order_by("-pk").values_list("pk", flat=True).first()
    return History(collapse(stays[:PAGE_SIZE]), newest or 0, older)


def count_since(instance: Instance, key: int, *, status: str = "") -> int:
    """How many changes the page does not show yet. One query."""
    return int(changes_of(instance, status).filter(pk__gt=key).count())
