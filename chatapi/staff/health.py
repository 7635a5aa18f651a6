"""The health page: what the checks find, waiting hooks, sending, lost links, tasks, redeliveries and totals."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django_q.models import Failure, OrmQ

from chatapi.runtime.doctor.checklist import CHECKS, ON_PAGE
from chatapi.runtime.doctor.findings import Finding
from chatapi.runtime.doctor.runs import Result, carry_out_for_page
from chatapi.runtime.doctor.site_report import read_report
from hooks.metrics import BUCKETS, Histogram, snapshot
from hooks.models import HEARTBEAT_AGE, OPEN_JOBS, Endpoint, PauseReason, Redelivery, Runner, is_alive
from instances.limits import disk_space
from instances.models import ReceiverState
from instances.pages.log.shared_hooks import masked_url
from instances.sending.channel_numbers import MAX_COUNTED, channel_numbers

FAILING_SHOWN = 20
LOST_SHOWN = 50
TASKS_SHOWN = 20
PERMISSION = "hooks.view_runner"


def health(request: HttpRequest) -> HttpResponse:
    """The page. Its 54 queries are short, and their cost does not grow with the number of hooks sent."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied("Your group does not have access to this page.")
    context = admin.site.each_context(request) | {"title": "Queues and dispatchers"} | health_context()
    return TemplateResponse(request, "chatapi/staff/health.html", context)


def health_context() -> dict[str, Any]:
    """The template's context."""
    now = timezone.now()
    metrics = snapshot()
    runners = list(
        Runner.objects.filter(finished_at=None).annotate(heartbeat_age=HEARTBEAT_AGE).order_by("role", "slot")
    )
    paused = Endpoint.objects.paused().values_list("pause_reason")
    failing = Endpoint.objects.failing().select_related("instance")
    return {
        **checks_context(),
        "metrics": metrics,
        "disk": disk_space.read_disk_space(),
        "runners": [(runner, is_alive(runner.heartbeat_age)) for runner in runners],
        "tasks": [
            (task, task.lock is not None and task.lock > now)
            for task in OrmQ.objects.order_by("pk")[:TASKS_SHOWN]
        ],
        "tasks_failed": Failure.objects.order_by("-stopped")[:5],
        "channels": channel_numbers(),
        "max_failed": MAX_COUNTED,
        "lost_links": lost_links(),
        "max_lost": LOST_SHOWN,
        "jobs": Redelivery.objects.filter(state__in=OPEN_JOBS).order_by("-pk").with_totals()[:10],
        "paused": [(PauseReason(reason).label, n) for reason, n in paused.annotate(n=Count("pk"))],
        "failing": [
            (endpoint, masked_url(endpoint.url))
            for endpoint in failing.order_by("failing_since")[:FAILING_SHOWN]
        ],
        "durations": [
            (name.removesuffix("_seconds").replace("_", " "), *count_median_p95(metrics.histograms[name]))
            for name in BUCKETS
        ],
    }


def checks_context() -> dict[str, Any]:
    """The template's context of the checks, with the worst findings first."""
    report = read_report()
    results = [*carry_out_for_page(ON_PAGE), *(report.results if report else ())]
    shown = {result.check.name for result in results}
    found: list[tuple[Finding, Result]] = [
        (finding, result) for result in results for finding in result.findings
    ]
    return {
        "found": sorted(found, key=lambda one: -one[0].level),
        "not_carried_out": [result for result in results if result.reason],
        "passed": sum(not result.findings and not result.reason for result in results),
        "checks_elsewhere": [check.title for check in CHECKS if check.name not in shown],
        "site_checked_at": report and report.checked_at,
    }


def lost_links() -> list[ReceiverState]:
    """Returns the links that messengers do not accept any more, lost last first, with instance and account."""
    lost = ReceiverState.objects.filter(lost_at__isnull=False).select_related("instance__channel_link")
    return list(lost.order_by("-lost_at")[:LOST_SHOWN])


def count_median_p95(histogram: Histogram) -> tuple[int, str, str]:
    """The count, and upper bounds of the median and the 95th percentile in seconds ("0.005"); "–" without values."""
    total = sum(number for _, number in histogram.buckets)
    return int(total), upper_bound(histogram, total * 0.5), upper_bound(histogram, total * 0.95)


def upper_bound(histogram: Histogram, rank: float) -> str:
    reached = 0.0
    for label, number in histogram.buckets:
        reached += number
        if reached and reached >= rank:
            return label
    return "–"
