"""How delivery is doing: who works, what waits and for how long, what came of it, and who fails. A dozen queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django_q.models import Failure, OrmQ

from hooks.metrics import BUCKETS, Histogram, snapshot
from hooks.models import Endpoint, JobState, Redelivery, Runner
from instances.models import OutgoingQueue

ALIVE = timedelta(seconds=10)
FAILING_SHOWN = 20
TASKS_SHOWN = 20
PERMISSION = "hooks.view_runner"


def health(request: HttpRequest) -> HttpResponse:
    """The page; asks nothing whose cost grows with the hooks that were ever sent."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied("Your group may not see this page.")
    context = admin.site.each_context(request) | {"title": "Queues and dispatchers"} | numbers()
    return TemplateResponse(request, "chatapi/staff/health.html", context)


def numbers() -> dict[str, Any]:
    """What the page shows, for its template."""
    now = timezone.now()
    found = snapshot()
    runners = list(Runner.objects.filter(finished_at=None).order_by("role", "slot"))
    queues = OutgoingQueue.objects.filter(length__gt=0).aggregate(n=Count("pk"), oldest=Min("next_send_at"))
    failing = Endpoint.objects.filter(failing_since__isnull=False).select_related("instance")
    return {
        "found": found,
        "runners": [(runner, now - runner.heartbeat_at < ALIVE) for runner in runners],
        "tasks": [
            (task, task.lock is not None and task.lock > now)
            for task in OrmQ.objects.order_by("pk")[:TASKS_SHOWN]
        ],
        "tasks_failed": Failure.objects.order_by("-stopped")[:5],
        "queues": queues,
        "jobs": Redelivery.objects.filter(state__in=(JobState.PLANNED, JobState.RUNNING, JobState.PAUSED))
        .order_by("-pk")
        .with_totals()[:10],
        "paused": Endpoint.objects.filter(paused_at__isnull=False)
        .order_by()
        .values_list("pause_reason")
        .annotate(n=Count("pk")),
        "failing": list(failing.order_by("failing_since")[:FAILING_SHOWN]),
        "times": [
            (name.removesuffix("_seconds").replace("_", " "), *spread(found.histograms[name]))
            for name in BUCKETS
        ],
    }


def spread(histogram: Histogram) -> tuple[int, str, str]:
    """How many, and below which bounds half of them and 95 of 100 were, as "0.005" seconds; "–" without any."""
    total = sum(number for _, number in histogram.buckets)
    return int(total), bound(histogram, total * 0.5), bound(histogram, total * 0.95)


def bound(histogram: Histogram, wanted: float) -> str:
    reached = 0.0
    for label, number in histogram.buckets:
        reached += number
        if reached and reached >= wanted:
            return label
    return "–"
