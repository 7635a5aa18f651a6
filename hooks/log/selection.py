"""The delivery log's filter. Pages and REST translate their filters into it; as JSON, a redelivery job can store it.

All keys are optional; a hook must match each given key:

    endpoint                  id of the endpoint
    states, kinds, outcomes   lists of the models' values
    answers                   list of keys of RESPONSES; 2xx is 200 to 299, not-200 is 201 to 299
    status                    status code of the last response
    host                      host of the last attempt, in lower case
    message                   id of the message, or of the hook as in `webhook-id`
    chat                      id of the chat
    simulated                 true or false
    created_after, created_before   ISO 8601; the first is included, the second is not
    hooks                     list of public ids of hooks, in hex

`answers` keeps the name that jobs of 0.1.0 have stored.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from hooks.models import (
    UNFINISHED,
    Endpoint,
    HookQuerySet,
    Kind,
    Outcome,
    ResponseClass,
    State,
    created_before,
    created_since,
    in_states,
    parse_webhook_id,
)

Filter = dict[str, Any]

RESPONSES: dict[str, tuple[str, Q]] = {
    "200": ("200", Q(last_answer=ResponseClass.OK)),
    "2xx": ("2xx", Q(last_answer__in=(ResponseClass.OK, ResponseClass.OTHER_2XX))),
    "not-200": ("2xx, but not 200", Q(last_answer=ResponseClass.OTHER_2XX)),
    "3xx": ("3xx", Q(last_answer=ResponseClass.REDIRECT)),
    "4xx": ("4xx", Q(last_answer=ResponseClass.CLIENT_ERROR)),
    "5xx": ("5xx", Q(last_answer=ResponseClass.SERVER_ERROR)),
    "none": ("no response", Q(last_answer=ResponseClass.NONE)),
}

BOUNDS = {"200": (200, 201), "not-200": (201, 300), "3xx": (300, 400), "4xx": (400, 500), "5xx": (500, 600)}


def matching(hooks: HookQuerySet, wanted: Filter) -> HookQuerySet:
    """Returns the matching hooks. Raises KeyError for an unknown key; ignoring it would select all hooks."""
    for key, value in wanted.items():
        hooks = hooks.filter(CONDITIONS[key](value))
    return hooks


def sendable(hooks: HookQuerySet) -> HookQuerySet:
    """Returns the hooks that can be resent: finished, with a body."""
    return hooks.exclude(state__in=UNFINISHED).filter(body_dropped_at=None)


def any_response(values: list[str]) -> Q:
    """Returns the condition for hooks whose last response is in one of these groups of RESPONSES."""
    found = Q(pk__in=[])
    for value in values:
        found |= RESPONSES[value][1]
    return found


def status(value: int) -> Q:
    """Returns the condition for hooks whose last response had this status code; it uses the response class's index."""
    for name in ("200", "not-200", "3xx", "4xx", "5xx"):
        low, high = BOUNDS[name]
        if low <= value < high:
            return RESPONSES[name][1] & Q(last_status=value)
    return Q(last_status=value)


def message_or_hook(value: str) -> Q:
    """Returns the condition for hooks of the message with this id, or the hook with this `webhook-id`."""
    public_id = parse_webhook_id(value)
    return Q(message=value) if public_id is None else Q(message=value) | Q(public_id=public_id)


CONDITIONS: dict[str, Callable[[Any], Q]] = {
    "endpoint": lambda value: Q(endpoint=value),
    "states": in_states,
    "kinds": lambda values: Q(kind__in=values),
    "outcomes": lambda values: Q(last_outcome__in=values),
    "answers": any_response,
    "status": status,
    "host": lambda value: Q(last_host=value),
    "message": message_or_hook,
    "chat": lambda value: Q(chat=value),
    "simulated": lambda value: Q(simulated=value),
    "created_after": lambda value: created_since(datetime.fromisoformat(value)),
    "created_before": lambda value: created_before(datetime.fromisoformat(value)),
    "hooks": lambda values: Q(public_id__in=[UUID(value) for value in values]),
}


def describe(wanted: Filter) -> list[str]:
    """Returns the filter as phrases: ["failed", "kind ack", …]; empty: all hooks."""
    words = {
        "endpoint": lambda value: f"endpoint {endpoint_name(value)}",
        "states": lambda values: " or ".join(State(value).label.lower() for value in values),
        "kinds": lambda values: "kind " + " or ".join(Kind(value).label.lower() for value in values),
        "outcomes": lambda values: " or ".join(Outcome(value).label.lower() for value in values),
        "answers": lambda values: "response " + " or ".join(RESPONSES[value][0] for value in values),
        "status": lambda value: f"response {value}",
        "host": lambda value: f"host {value}",
        "message": lambda value: f"message {value}",
        "chat": lambda value: f"chat {value}",
        "simulated": lambda value: "only simulated" if value else "without simulated",
        "created_after": lambda value: f"since {format_time(value)}",
        "created_before": lambda value: f"before {format_time(value)}",
        "hooks": lambda values: f"{len(values)} selected" if len(values) > 1 else "one selected",
    }
    return [words[key](wanted[key]) for key in words if key in wanted]


def endpoint_name(key: int) -> str:
    """Returns the endpoint's name or host; its id if it no longer exists. One query."""
    endpoint = Endpoint.objects.only("name", "url").filter(pk=key).first()
    return str(endpoint) if endpoint is not None else str(key)


def format_time(value: str) -> str:
    return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M:%S %Z}".strip()
