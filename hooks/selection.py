"""Which hooks are meant: a filter as JSON, so that a job can keep it; pages and REST translate theirs into it.

All keys are optional, and all that are given must hold:

    states, kinds, outcomes   lists of the models' values
    answers                   list of the keys of ANSWERS
    status                    the last answer, a number
    host                      of the last attempt, in small letters
    message                   the message's id, or the hook's own as `webhook-id` has it
    chat                      the chat's id
    simulated                 true or false
    created_after, created_before   ISO 8601; the first is included, the second is not
    hooks                     list of hooks' public ids in hex, chosen one by one
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from hooks.models import UNFINISHED, HookQuerySet, Kind, Outcome, State

Filter = dict[str, Any]

ANSWERS: dict[str, tuple[str, Q]] = {
    "200": ("200", Q(last_status=200)),
    "2xx": ("2xx", Q(last_status__gte=200, last_status__lt=300)),
    "not-200": (
        "2xx, but not 200",
        Q(last_status__gt=200, last_status__lt=300) | Q(last_status__lt=200),
    ),
    "3xx": ("3xx", Q(last_status__gte=300, last_status__lt=400)),
    "4xx": ("4xx", Q(last_status__gte=400, last_status__lt=500)),
    "5xx": ("5xx", Q(last_status__gte=500)),
    "none": ("no answer", Q(last_status=None) & ~Q(last_outcome="")),
}


def matching(hooks: HookQuerySet, wanted: Filter) -> HookQuerySet:
    """The hooks that fit. Raises KeyError for a key that does not exist: overlooked, it would mean all hooks."""
    for key, value in wanted.items():
        hooks = hooks.filter(CONDITIONS[key](value))
    return hooks


def sendable(hooks: HookQuerySet) -> HookQuerySet:
    """Those that can be sent again: finished, with their bodies."""
    return hooks.exclude(state__in=UNFINISHED).filter(body_dropped_at=None)


def any_answer(values: list[str]) -> Q:
    found = Q(pk__in=[])
    for value in values:
        found |= ANSWERS[value][1]
    return found


def message_or_hook(value: str) -> Q:
    """A message's id, or the hook's own as the webhook-id header says it."""
    try:
        return Q(message=value) | Q(public_id=UUID(value.removeprefix("hook_")))
    except ValueError:
        return Q(message=value)


CONDITIONS: dict[str, Callable[[Any], Q]] = {
    "states": lambda values: Q(state__in=values),
    "kinds": lambda values: Q(kind__in=values),
    "outcomes": lambda values: Q(last_outcome__in=values),
    "answers": any_answer,
    "status": lambda value: Q(last_status=value),
    "host": lambda value: Q(last_host=value),
    "message": message_or_hook,
    "chat": lambda value: Q(chat=value),
    "simulated": lambda value: Q(simulated=value),
    "created_after": lambda value: Q(created_at__gte=datetime.fromisoformat(value)),
    "created_before": lambda value: Q(created_at__lt=datetime.fromisoformat(value)),
    "hooks": lambda values: Q(public_id__in=[UUID(value) for value in values]),
}


def describe(wanted: Filter) -> list[str]:
    """The filter for people: ["failed", "kind ack", …]; empty: all hooks."""
    words = {
        "states": lambda values: " or ".join(State(value).label.lower() for value in values),
        "kinds": lambda values: "kind " + " or ".join(Kind(value).label.lower() for value in values),
        "outcomes": lambda values: " or ".join(Outcome(value).label.lower() for value in values),
        "answers": lambda values: "answer " + " or ".join(ANSWERS[value][0] for value in values),
        "status": lambda value: f"answer {value}",
        "host": lambda value: f"host {value}",
        "message": lambda value: f"message {value}",
        "chat": lambda value: f"chat {value}",
        "simulated": lambda value: "only simulated" if value else "without simulated",
        "created_after": lambda value: f"from {moment(value)} on",
        "created_before": lambda value: f"before {moment(value)}",
        "hooks": lambda values: f"{len(values)} chosen" if len(values) > 1 else "one chosen",
    }
    return [words[key](wanted[key]) for key in words if key in wanted]


def moment(value: str) -> str:
    return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M:%S %Z}".strip()
