"""What a check finds, and what a check is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Level(IntEnum):
    """How bad a finding is: nothing, good to know, to be repaired soon, to be repaired now."""

    OK = 0
    NOTE = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        return self.name.lower()


class Area(StrEnum):
    """Where a check looks; the order is that of the report."""

    SETTINGS = "Settings"
    FILES = "Files"
    MACHINE = "Machine"
    DATABASE = "Database"
    WORK = "Background work"
    SITE = "Site and proxy"
    MAIL = "Mail"
    MESSENGERS = "Messengers"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: what is wrong and where, in a sentence, and what to do, in another.

    `problem` may be shown to everyone, because /readyz shows it: it contains no secret, no host and no e-mail address
    that the visitor does not know. `detail` is for operators, such as the text of an error. `id` is that of Django's
    system check, if it is not the check's own.
    """

    level: Level
    problem: str
    next_step: str
    detail: str = ""
    id: str = ""


def note(problem: str, next_step: str, detail: str = "", id: str = "") -> Finding:
    return Finding(Level.NOTE, problem, next_step, detail, id)


def warning(problem: str, next_step: str, detail: str = "", id: str = "") -> Finding:
    return Finding(Level.WARNING, problem, next_step, detail, id)


def error(problem: str, next_step: str, detail: str = "", id: str = "") -> Finding:
    return Finding(Level.ERROR, problem, next_step, detail, id)


class NotCarriedOut(Exception):
    """A check cannot look at what it is about. str() is the reason, after "because": "the disk cannot be read"."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the list.

    name            stable; `manage.py doctor` shows it, and it is the id of the system check
    title           what is checked, as a noun
    find            yields what is wrong; raises NotCarriedOut
    system_tag      of Django's system checks, if it is one: `up`, `worker` and `migrate` refuse to start on an error
    is_readiness    /readyz asks it: an error is 503, a warning is "degraded"
    is_on_page      the support desk's health page asks it: it takes milliseconds and makes no request
    needs_database  it is not carried out while the database cannot be used
    seconds         after which `manage.py doctor` no longer waits for it
    """

    name: str
    title: str
    area: Area
    find: Callable[[], Iterable[Finding]]
    system_tag: str | None = None
    is_readiness: bool = False
    is_on_page: bool = True
    needs_database: bool = False
    seconds: float = 5.0
