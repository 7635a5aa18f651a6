"""/metrics: the metrics of metric_list.py in Prometheus format; no process and no state of its own.

Every number comes from the database, so every web process on every machine responds the same, and counters continue
after a restart. Labels are outcomes, states, lanes and channels, never an instance, a URL or a token.

Access: while METRICS_TOKEN is unset, clients on the loopback address; with it, clients that send
`Authorization: Bearer <METRICS_TOKEN>`, from anywhere.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterator, Mapping

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from chatapi.monitoring.metric_list import METRICS, Kind, Metric, Numbers, Samples
from chatapi.monitoring.upkeep import upkeep_numbers
from chatapi.runtime.client_address import FORWARDING_HEADERS, REMOVED
from hooks.metrics import Histogram, count_failing_endpoints, snapshot
from instances.limits import disk_space
from instances.receiving.health import receiving_numbers
from instances.sending.metrics import sending_numbers

# Set by a proxy in front, also by one that is not trusted: then the loopback address is the proxy's.
FORWARDED = (*FORWARDING_HEADERS, "HTTP_VIA", REMOVED)


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
        families = Families(
            Numbers(
                snapshot(),
                count_failing_endpoints(),
                receiving_numbers(),
                sending_numbers(),
                upkeep_numbers(),
                disk_space.read_disk_space(),
            )
        )
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
    """The numbers as a collector for prometheus-client."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers

    def collect(self) -> Iterator[Family]:
        for metric in METRICS:
            found = metric.read(self.numbers)
            if found is not None:
                yield family(metric, found)


def family(metric: Metric, found: float | Samples | Histogram) -> Family:
    if isinstance(found, Histogram):
        return histogram(metric, found)
    kind: type[CounterMetricFamily | GaugeMetricFamily] = (
        CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    )
    shown = kind(metric.name, metric.meaning, labels=metric.labels)
    for labels, number in found.items() if isinstance(found, Mapping) else [((), found)]:
        shown.add_metric(labels, number)
    return shown


def histogram(metric: Metric, found: Histogram) -> HistogramMetricFamily:
    """A histogram with cumulative buckets, as Prometheus requires."""
    reached, buckets = 0.0, []
    for bound, number in found.buckets:
        reached += number
        buckets.append(("+Inf" if bound == "inf" else bound, reached))
    return HistogramMetricFamily(metric.name, metric.meaning, buckets=buckets, sum_value=found.sum)
