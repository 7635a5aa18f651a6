"""What the pages show of an endpoint: its name, state, filters and delivery mode in words, and its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from django.urls import reverse
from django.utils import timezone

from chatapi.ui.durations import in_largest_unit
from hooks.log.endpoint_numbers import EndpointNumbers, numbers_of
from hooks.models import SAY_FAILING_AFTER, Endpoint, PauseReason
from instances.endpoint_filters import describe_filters
from instances.models import Instance
from instances.pages.endpoints.forwarding import Listening, listening_of
from instances.pages.overview.delivery_counts import Bar, bars_of


class EndpointLine(NamedTuple):
    """An endpoint in a list. `state` is a key of chatapi.ui.states.ENDPOINT_STATES."""

    endpoint: Endpoint
    name: str
    state: str
    filters: str
    url: str  # of the endpoint's page


class EndpointCard(NamedTuple):
    """An endpoint with its numbers. `failing_for` is empty unless all deliveries fail."""

    line: EndpointLine
    mode: str
    failing_for: str
    counts: EndpointNumbers
    bars: list[Bar]
    listening: Listening | None  # of an endpoint whose hooks a computer fetches

    @property
    def test_id(self) -> str:
        """The id of the element with the result of a test."""
        return test_id(self.line.endpoint)


def test_id(endpoint: Endpoint) -> str:
    return f"endpoint-test-{endpoint.pk}"


def endpoints_of(instance: Instance) -> list[Endpoint]:
    """Returns the instance's endpoints that were not removed, with their lanes, the first one first. One query."""
    found = list(instance.endpoints.present().select_related("lane"))
    for endpoint in found:
        endpoint.instance = instance
    return found


def host_of(url: str) -> str:
    """Returns the host of a stored URL; empty for an empty one."""
    return urlsplit(url).hostname or ""


def names_of(endpoints: Sequence[Endpoint]) -> dict[int, str]:
    """Returns the name of each endpoint of one instance, by id: its own, else its host, else its place.

    Equal names get their place: "example.com (2)".
    """
    plain = [endpoint.name or host_of(endpoint.url) for endpoint in endpoints]
    counts = Counter(plain)
    return {
        endpoint.pk: (name if counts[name] == 1 else f"{name} ({place})") if name else f"Endpoint {place}"
        for place, (endpoint, name) in enumerate(zip(endpoints, plain, strict=True), start=1)
    }


def state_of(endpoint: Endpoint, now: datetime) -> str:
    """Returns the endpoint's state, the most important first."""
    if endpoint.paused_at:
        return "stopped" if endpoint.pause_reason == PauseReason.STOPPED else "paused"
    if not endpoint.url:
        return "no_url"
    if endpoint.is_listener and not endpoint.lane.is_connected(now):
        return "not_connected"
    if failing_words(endpoint, now):
        return "failing"
    return "last_failed" if endpoint.failing_since else "active"


def failing_words(endpoint: Endpoint, now: datetime) -> str:
    """Returns since when all deliveries have failed, as "17 min"; empty if they have not, or for a short time only."""
    failing_for = now - endpoint.failing_since if endpoint.failing_since else timedelta()
    return "" if endpoint.paused_at or failing_for <= SAY_FAILING_AFTER else in_largest_unit(failing_for)


def mode_words(endpoint: Endpoint) -> str:
    """Returns the delivery mode: "up to 20 attempts, in parallel"."""
    attempts = endpoint.attempts_allowed
    order = "in parallel" if endpoint.parallel else "in strict order" if endpoint.strict else "in order"
    return f"{f'up to {attempts} attempts' if attempts > 1 else 'one attempt'}, {order}"


def lines_of(endpoints: Sequence[Endpoint], number: int) -> list[EndpointLine]:
    """Returns the lines of one instance's endpoints; `number` is the instance's."""
    now, names = timezone.now(), names_of(endpoints)
    return [
        EndpointLine(
            endpoint,
            names[endpoint.pk],
            state_of(endpoint, now),
            describe_filters(endpoint),
            reverse("instances:endpoint", args=(number, endpoint.pk)),
        )
        for endpoint in endpoints
    ]


def cards_of(endpoints: Sequence[Endpoint], number: int) -> list[EndpointCard]:
    """Returns the cards of one instance's endpoints. Two queries for any number of them."""
    now, counts = timezone.now(), numbers_of([endpoint.pk for endpoint in endpoints])
    return [
        EndpointCard(
            line,
            mode_words(line.endpoint),
            failing_words(line.endpoint, now),
            counts[line.endpoint.pk],
            bars_of(counts[line.endpoint.pk]),
            listening_of(line.endpoint, counts[line.endpoint.pk].waiting, now),
        )
        for line in lines_of(endpoints, number)
    ]
