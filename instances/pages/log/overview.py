"""What stands above the log, fetched by itself so that the list is there first; and the log as a file."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from chatapi.ui.downloads import as_download
from hooks.log.chart import INDEXED_MOST, PARTS, READ_MOST, Bar, Chart, chart_of
from hooks.log.counts import Count
from hooks.log.endpoint_health import health_of
from hooks.models import Hook
from instances.pages.chosen_instance import require_instance
from instances.pages.log import export as log_export
from instances.pages.log.filters import Filters, as_key


class Row(NamedTuple):
    """A bar as the table has it: its beginning in seconds and in words (UTC), and the log's query for its hooks."""

    at: int
    words: str
    query: str
    counts: dict[str, int]


@require_safe
@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """The endpoint's health, and a bar for each hour of the chosen time; 204 when it is as `?seen=` says."""
    instance = require_instance(request)
    filters = Filters.of(request.GET)
    hooks = Hook.objects.filter(endpoint_id=instance.pk)
    filtered = filters.restrict(hooks, besides={"state", "period", "from", "to"})
    chart = chart_of(instance.pk, *filters.time_range(), filtered)
    health = health_of(instance.pk)
    totals = chart.totals
    cursor = ".".join(
        str(part)
        for part in (
            chart.bars[0].start.timestamp() if chart.bars else 0, *totals.values(), health.tried, health.delivered,
            health.waiting, health.oldest and health.oldest.timestamp(), health.failed and health.failed.pk,
        )
    )  # fmt: skip
    if request.GET.get("seen") == cursor:
        return HttpResponse(status=204)
    chosen = {"instance": str(instance.number)}
    context = {
        "instance": instance,
        "health": health,
        "waiting": Count.of(health.waiting, more=health.waiting_more),
        "chart": chart,
        "span": span_words(chart),
        "parts": [(name, words, Count(totals[name])) for name, (words, _) in PARTS.items()],
        "rows": [row_of(bar, filters, chosen) for bar in chart.bars if bar.total],
        "most": Count(INDEXED_MOST if chart.by_index else READ_MOST),
        "query": filters.query(**chosen),
        "cursor": cursor,
    }
    return render(request, "instances/pages/log/overview.html", context)


def row_of(bar: Bar, filters: Filters, chosen: dict[str, str]) -> Row:
    span = {"period": None, "from": bar.start.isoformat(), "to": bar.end.isoformat()}
    query = filters.query(**chosen, **span)
    return Row(int(bar.start.timestamp()), f"{bar.start:%-d %b, %H:%M:%S}", query, bar.counts)


def span_words(chart: Chart) -> str:
    """`Per hour`, `Per 5 minutes`."""
    return {
        10: "per 10 seconds",
        60: "per minute",
        300: "per 5 minutes",
        3600: "per hour",
        86_400: "per day",
    }[chart.step]


@require_safe
@login_required
def export(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """`?as=ndjson` or `csv`: the hooks that fit the log's filters, as a download; 404 for another format."""
    instance = require_instance(request)
    format = log_export.FORMATS.get(request.GET.get("as", ""))
    if format is None:
        raise Http404("It can be exported as ndjson or csv.")
    filters = Filters.of(request.GET)
    if filters.dropped:  # a file has no place to say that a filter was left out
        words = (
            f"The log knows no such value: {', '.join(filters.dropped)}. Choose another one and export again."
        )
        return HttpResponse(words, status=400, content_type="text/plain; charset=utf-8")
    chosen: dict[str, Any] = {"instance": str(instance.number), "as": request.GET["as"]}

    def next_file(key: int) -> str:
        return f"{settings.SITE_URL}{reverse('log:export')}?{filters.query(**chosen, before=str(key))}"

    lines = log_export.export(
        filters.apply(Hook.objects.filter(endpoint_id=instance.pk)),
        format,
        before=as_key(request.GET.get("before", "")),
        next_file=next_file,
    )
    response = StreamingHttpResponse(lines, content_type=format.type)
    return as_download(response, f"log-{instance.number}-{timezone.localdate()}.{format.extension}")
