"""What pages show of `chatapi listen`, which forwards hooks to a user's computer: its commands and its state."""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.urls import reverse

from hooks.actions.listening import DEFAULT_NAME
from hooks.log.counts import Count
from hooks.models import Endpoint
from instances.models import Instance

EXAMPLE_URL = "http://localhost:3000/hook"


class Listening(NamedTuple):
    """Whether a computer fetches an endpoint's hooks; if none does, since when, and how many hooks wait."""

    is_connected: bool
    seen_at: datetime | None
    waiting: Count


def listening_of(endpoint: Endpoint, waiting: Count, now: datetime) -> Listening | None:
    """Returns the state of a listening endpoint; None for any other. Requires the endpoint with its lane."""
    if not endpoint.is_listener:
        return None
    return Listening(endpoint.lane.is_connected(now), endpoint.lane.listener_seen_at, waiting)


def commands(instance: Instance, endpoint: Endpoint | None = None) -> list[tuple[str, str]]:
    """Returns the commands for a terminal that forward the instance's hooks, each with a label.

    With `endpoint`, those that fetch its hooks, else those of the default name.
    """
    program = settings.SITE_URL + reverse("listen-program")
    options = ["--site", settings.SITE_URL, "--instance", str(instance.number)]
    options += ["--forward", endpoint.url if endpoint else EXAMPLE_URL]
    if endpoint and endpoint.name != DEFAULT_NAME:
        options += ["--name", endpoint.name]
    return [
        ("Download the program, once", f"curl -O {shlex.quote(program)} && pip install requests"),
        ("Set your account's key", "export CHATAPI_KEY=uid_\N{HORIZONTAL ELLIPSIS}"),
        ("Forward the hooks", f"python3 listen.py {shlex.join(options)}"),
    ]
