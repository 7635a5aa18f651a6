"""The health and the chart above the log, loaded after it so that the list is shown first."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chatapi.database import replica
from hooks.log.chart import MAX_INDEX_ENTRIES, MAX_ROWS_READ, PARTS, Bar, Chart, chart_of
from hooks.log.counts import Count
from hooks.log.endpoint_health import Health, health_of
from hooks.log.recent import MANY
from hooks.models import Hook
from instances.pages.log.endpoint_names import AllEndpoints
from instances.pages.log.filters import Filters
from instances.pages.log.scope import LogScope, require_scope


class ChartRow(NamedTuple):
    """A bar as a table row: its start in seconds and in words (UTC), and the log's query string for its hooks."""

    at: int
    words: str
    query: str
    counts: dict[str, int]


@require_safe
@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """The endpoint's health, and one bar per hour of the chosen time; 204 if `?seen=` is still true."""
    scope = require_scope(request)
    filters = Filters.from_query(request.GET)
    endpoint_ids = filters.endpoint_ids(scope.endpoint_ids)
    (chart, health), as_of = replica.read(lambda: read_summary(filters, endpoint_ids), scope.account_ids)
    numbers = health.numbers
    totals = chart.totals
    cursor = ".".join(
        str(part)
        for part in (
            chart.bars[0].start.timestamp() if chart.bars else 0, *totals.values(), health.tried, numbers.sent,
            numbers.delivered, numbers.waiting, numbers.oldest and numbers.oldest.timestamp(),
            health.failed and health.failed.pk,
        )
    )  # fmt: skip
    if request.GET.get("seen") == cursor:
        return HttpResponse(status=204)
    chosen = scope.query
    context = {
        "instance": scope.instance,
        "as_of": as_of,
        "health": health,
        "title": health_title(scope, endpoint_ids),
        "chart": chart,
        "span": span_words(chart),
        "parts": [(name, words, Count(totals[name])) for name, (words, _) in PARTS.items()],
        "rows": [chart_row(bar, filters, chosen) for bar in chart.bars if bar.total],
        "counted_max": Count(MAX_INDEX_ENTRIES if chart.by_index else MAX_ROWS_READ),
        "query": filters.query(**chosen),
        "brushed": filters.query(**chosen, period=None, **{"from": None, "to": None}),
        "cursor": cursor,
    }
    return render(request, "instances/pages/log/overview.html", context)


def read_summary(filters: Filters, endpoint_ids: list[int]) -> tuple[Chart, Health]:
    return chart_of_filters(filters, endpoint_ids), health_of(endpoint_ids)


def chart_of_filters(filters: Filters, endpoint_ids: list[int]) -> Chart:
    ignorable = {"state", "period", "from", "to", "endpoint"}
    if len(endpoint_ids) > MANY and filters.is_beyond(ignorable):
        newest = partial(filters.recent_keys, endpoint_ids, without="state")
        return chart_of(endpoint_ids, *filters.time_range(), newest=newest)
    filtered = filters.apply_beyond(Hook.objects.of_endpoints(endpoint_ids), ignorable)
    return chart_of(endpoint_ids, *filters.time_range(), filtered, in_order=filters.matches_many)


def health_title(scope: LogScope, shown_ids: list[int]) -> str:
    endpoints = scope.endpoints
    if isinstance(endpoints, AllEndpoints):
        return "All instances"
    if not endpoints.are_several:
        return "Endpoint"
    return endpoints.names[shown_ids[0]] if len(shown_ids) == 1 else "All endpoints"


def chart_row(bar: Bar, filters: Filters, chosen: dict[str, str]) -> ChartRow:
    span = {"period": None, "from": bar.start.isoformat(), "to": bar.end.isoformat()}
    query = filters.query(**chosen, **span)
    return ChartRow(int(bar.start.timestamp()), f"{bar.start:%-d %b, %H:%M:%S}", query, bar.counts)


def span_words(chart: Chart) -> str:
    """The width of a bar: `per hour`, `per 5 minutes`."""
    return {
        10: "per 10 seconds",
        60: "per minute",
        300: "per 5 minutes",
        3600: "per hour",
        86_400: "per day",
    }[chart.step]
