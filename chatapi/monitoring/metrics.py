"""/metrics: the numbers of hooks/metrics.py in Prometheus format; no process and no state of its own.

Every number comes from the database, so every web process on every machine responds the same, and counters continue
after a restart. Labels are outcomes, states, lanes and channels, never an instance, a URL or a token.

Access: while METRICS_TOKEN is unset, clients on the loopback address; with it, clients that send
`Authorization: Bearer <METRICS_TOKEN>`, from anywhere.
"""

from __future__ import annotations

import ipaddress
import math
import secrets
from collections.abc import Iterator

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from chatapi.runtime.client_address import FORWARDING_HEADERS, REMOVED
from hooks.metrics import CLAIM, LATENESS, RECORD, Histogram, Snapshot, snapshot
from instances.limits import disk_space
from instances.receiving.health import ReceivingNumbers, receiving_numbers
from instances.sending.metrics import SendingNumbers, sending_numbers

# Set by a proxy in front, also by one that is not trusted: then the loopback address is the proxy's.
FORWARDED = (*FORWARDING_HEADERS, "HTTP_VIA", REMOVED)
HISTOGRAMS = {
    CLAIM: ("chatapi_claim_seconds", "Duration of one claim of due hooks in the database."),
    RECORD: ("chatapi_record_seconds", "Duration of recording one batch of results in the database."),
    LATENESS: ("chatapi_retry_lateness_seconds", "Time from when a retry was due until it was claimed."),
}


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The current numbers; 401 or 403 without access, 503 without a database."""
    if not may_read(request):
        response = HttpResponse(
            "Metrics are read from this machine itself, or with METRICS_TOKEN as a bearer token.\n",
            "text/plain; charset=utf-8",
            401 if settings.METRICS_TOKEN else 403,
        )
        if settings.METRICS_TOKEN:
            response["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return response
    try:
        families = Families(snapshot(), receiving_numbers(), sending_numbers())
    except (DatabaseError, InterfaceError):
        return HttpResponse("The database does not respond.\n", "text/plain; charset=utf-8", 503)
    return HttpResponse(generate_latest(families), CONTENT_TYPE_LATEST)


def may_read(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given, wanted = token.strip().encode(), settings.METRICS_TOKEN.encode()
        return scheme.lower() == "bearer" and secrets.compare_digest(given, wanted)
    if any(name in request.META for name in FORWARDED):
        return False
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    return address.is_loopback


class Families:
    """A Snapshot and the numbers of receiving and sending as a collector for prometheus-client."""

    def __init__(self, found: Snapshot, receiving: ReceivingNumbers, sending: SendingNumbers) -> None:
        self.found, self.receiving, self.sending = found, receiving, sending

    def collect(self) -> Iterator[Metric]:
        found = self.found
        emitted = CounterMetricFamily("chatapi_hooks_emitted", "Hooks created.")
        emitted.add_metric([], found.emitted)
        yield emitted
        finished = CounterMetricFamily(
            "chatapi_hooks_finished",
            "Hooks that ended in this state; counted again after a resend.",
            labels=["state"],
        )
        for state, number in found.finished.items():
            finished.add_metric([state], number)
        yield finished
        attempts = CounterMetricFamily("chatapi_attempts", "Attempts, by outcome.", labels=["outcome"])
        for outcome, number in found.attempts.items():
            attempts.add_metric([outcome], number)
        yield attempts
        number_of = GaugeMetricFamily(
            "chatapi_hooks_waiting",
            "Due hooks that wait, by class of lane; counted up to 100 000.",
            labels=["lane", "turn"],
        )
        oldest = GaugeMetricFamily(
            "chatapi_hooks_oldest_waiting_seconds",
            "Age of the oldest waiting hook.",
            labels=["lane", "turn"],
        )
        for one in found.waiting:
            number_of.add_metric([one.lane, one.turn], one.number)
            oldest.add_metric([one.lane, one.turn], one.oldest)
        yield number_of
        yield oldest
        yield GaugeMetricFamily("chatapi_hooks_in_flight", "Requests in flight.", found.in_flight)
        yield GaugeMetricFamily("chatapi_dispatchers", "Running dispatchers.", found.dispatchers)
        yield GaugeMetricFamily(
            "chatapi_dispatcher_heartbeat_age_seconds",
            "Time since the last heartbeat of any dispatcher; NaN without one.",
            math.nan if found.heartbeat_age is None else found.heartbeat_age,
        )
        if space := disk_space.read_disk_space():
            yield GaugeMetricFamily(
                "chatapi_disk_free_bytes", "Free space of the disk of DATA_DIR.", space.free
            )
            yield GaugeMetricFamily(
                "chatapi_disk_required_bytes",
                "Free space below which nothing large is stored.",
                space.required,
            )
        yield from receiving_families(self.receiving)
        yield from sending_families(self.sending)
        for name, (shown, words) in HISTOGRAMS.items():
            yield histogram(shown, words, found.histograms[name])


def sending_families(found: SendingNumbers) -> Iterator[Metric]:
    results = CounterMetricFamily(
        "chatapi_messages", "Tries of messages, by what became of the message.", labels=["result"]
    )
    for result, number in found.results.items():
        results.add_metric([result], number)
    yield results
    by_channel = CounterMetricFamily(
        "chatapi_channel_messages", "The same by channel.", labels=["channel", "result"]
    )
    for labels, number in found.by_channel.items():
        by_channel.add_metric(labels, number)
    yield by_channel
    yield GaugeMetricFamily("chatapi_messages_waiting", "Messages in queues.", found.waiting)
    yield GaugeMetricFamily("chatapi_messages_in_flight", "Messages that are being sent.", found.in_flight)
    yield GaugeMetricFamily("chatapi_senders", "Running senders.", found.senders)


def receiving_families(found: ReceivingNumbers) -> Iterator[Metric]:
    yield GaugeMetricFamily("chatapi_receivers", "Running receivers.", found.receivers)
    yield GaugeMetricFamily(
        "chatapi_receiver_heartbeat_age_seconds",
        "Time since the last heartbeat of any receiver; NaN without one.",
        math.nan if found.heartbeat_age is None else found.heartbeat_age,
    )
    links = GaugeMetricFamily(
        "chatapi_channel_links", "Links to accounts at messengers, by state.", labels=["channel", "state"]
    )
    for labels, number in found.links.items():
        links.add_metric(labels, number)
    yield links
    instances = GaugeMetricFamily(
        "chatapi_receiving_instances",
        "Instances that are received from, by the state of their connection.",
        labels=["state"],
    )
    for state, number in found.instances.items():
        instances.add_metric([state], number)
    yield instances
    yield GaugeMetricFamily(
        "chatapi_callbacks_waiting",
        "Stored callbacks that wait; counted up to 10 000.",
        found.callbacks_waiting,
    )
    yield GaugeMetricFamily(
        "chatapi_callbacks_oldest_waiting_seconds", "Age of the oldest of them.", found.callbacks_oldest
    )
    yield GaugeMetricFamily(
        "chatapi_callbacks_failed",
        "Stored callbacks that failed; counted up to 10 000.",
        found.callbacks_failed,
    )


def histogram(name: str, words: str, found: Histogram) -> HistogramMetricFamily:
    """A histogram with cumulative buckets, as Prometheus requires."""
    reached, buckets = 0.0, []
    for bound, number in found.buckets:
        reached += number
        buckets.append(("+Inf" if bound == "inf" else bound, reached))
    return HistogramMetricFamily(name, words, buckets=buckets, sum_value=found.sum)
