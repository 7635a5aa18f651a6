"""The hooks of a period by their state and how long they took, of all instances of a user or of one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from chatapi.database import replica
from hooks.log.chart import PARTS, Bar, Chart, chart_of
from hooks.log.counts import Count
from hooks.log.durations import NEWEST, Durations, durations_between
from hooks.log.statistics import Sums
from hooks.models import Endpoint
from instances.models import Instance
from instances.pages.log.scope import LogScope, scope_of

PAGE = "instances/pages/statistics/statistics.html"
HOUR, DAY = 3600, 86_400  # seconds: the length of a bar
INSTANCES_SHOWN = 50


class Period(NamedTuple):
    """A choice of the page: so many bars of `step` seconds, the last one with the present."""

    words: str
    step: int
    bars: int

    def start(self, now: datetime) -> datetime:
        return now - timedelta(seconds=self.step * (self.bars - 1))


PERIODS = {
    "1d": Period("24 hours", HOUR, 24),
    "7d": Period("7 days", DAY, 7),
    "30d": Period("30 days", DAY, 30),
}
DEFAULT = "7d"


class Row(NamedTuple):
    """A bar as a table row: its start in seconds and in words (UTC), and the log's query string for its hooks."""

    at: int
    words: str
    query: str
    counts: dict[str, int]
    durations: Durations


class InstanceRow(NamedTuple):
    """`percent` of the finished hooks are delivered; None without any."""

    instance: Instance
    delivered: Count
    failed: Count
    percent: int | None


class Read(NamedTuple):
    """What the page reads of the hooks."""

    chart: Chart
    total: Durations
    by_bar: dict[int, Durations]


@require_safe
@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """`?period=` is one of PERIODS; `?instance=` selects one instance."""
    scope = scope_of(request)
    if scope is None:
        return render(request, PAGE, {"scope": None})
    chosen = request.GET.get("period", DEFAULT)
    period = PERIODS.get(chosen, PERIODS[DEFAULT])
    found, as_of = replica.read(lambda: read(scope, period), scope.account_ids)
    totals = found.chart.totals
    context: dict[str, Any] = {
        "scope": scope,
        "instance": scope.instance,
        "as_of": as_of,
        "periods": [(key, one.words, one is period) for key, one in PERIODS.items()],
        "is_by_day": period.step == DAY,
        "chart": found.chart,
        "parts": [(name, words, Count(totals[name])) for name, (words, _) in PARTS.items()],
        "percent": percent(totals["delivered"], totals["failed"]),
        "durations": found.total,
        "measured_max": Count(NEWEST),
        "rows": list(rows(found, scope, period))[::-1],
        "brushed": urlencode(scope.query),
        "instances": instance_rows(scope, found.chart.sums) if scope.is_over_all else [],
        "query": urlencode({"period": chosen}) if period is not PERIODS[DEFAULT] else "",
    }
    return render(request, PAGE, context)


def read(scope: LogScope, period: Period) -> Read:
    endpoint_ids = scope.endpoint_ids
    chart = chart_of(
        endpoint_ids,
        period.start(timezone.now()),
        None,
        min_step=period.step,
        with_sums=scope.is_over_all,
    )
    if not chart.bars:
        return Read(chart, Durations(), {})
    edges = [bar.start for bar in chart.bars] + [chart.bars[-1].end]
    return Read(chart, *durations_between(endpoint_ids, edges))


def percent(delivered: int, failed: int) -> int | None:
    """Returns the share of delivered hooks in percent, rounded down: 100 only if none has failed."""
    return 100 * delivered // (delivered + failed) if delivered + failed else None


def rows(found: Read, scope: LogScope, period: Period) -> Iterable[Row]:
    for place, bar in enumerate(found.chart.bars):
        yield Row(
            int(bar.start.timestamp()),
            f"{bar.start:%a, %-d %b}" if period.step == DAY else f"{bar.start:%-d %b, %H:%M}",
            log_query(bar, scope),
            bar.counts,
            found.by_bar.get(place, Durations()),
        )


def log_query(bar: Bar, scope: LogScope) -> str:
    return urlencode(scope.query | {"from": bar.start.isoformat(), "to": bar.end.isoformat()})


def instance_rows(scope: LogScope, sums: Sums) -> list[InstanceRow]:
    """Returns the instances with finished hooks, those with the most failed ones first. Two queries."""
    owners = dict(Endpoint.objects.filter(pk__in=list(sums)).values_list("pk", "instance_id"))
    by_instance: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for endpoint, numbers in sums.items():
        for place, number in enumerate(numbers):
            by_instance[owners.get(endpoint, 0)][place] += number
    ordered = sorted(by_instance, key=lambda key: (-by_instance[key][1], -by_instance[key][0], key))
    shown = scope.visible.select_related("endpoint").in_bulk(ordered[:INSTANCES_SHOWN])
    return [
        InstanceRow(
            shown[key], Count(by_instance[key][0]), Count(by_instance[key][1]), percent(*by_instance[key])
        )
        for key in ordered
        if key in shown and any(by_instance[key])
    ]
