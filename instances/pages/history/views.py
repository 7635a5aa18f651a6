"""An instance's status history, in pages; new changes are announced and do not move the lines being read."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chatapi.ui.numbers import parse_digits
from chatapi.ui.states import INSTANCE_STATES
from instances.models import AccountStatus
from instances.pages import status_texts
from instances.pages.access import visible_instance
from instances.pages.history.status_history import count_since, history_of


def asked_status(request: HttpRequest) -> str:
    given = request.GET.get("status", "")
    return given if given in AccountStatus.values else ""


@require_safe
@login_required
def history(request: HttpRequest, number: int) -> HttpResponse:
    instance = visible_instance(request, number)
    chosen, before = asked_status(request), parse_digits(request.GET.get("before", ""))
    context = {
        "instance": instance,
        "tab": "history",
        "status": status_texts.describe(instance),
        "history": history_of(instance, status=chosen, before=before),
        "before": before,
        "chosen": chosen,
        "choices": [(status, INSTANCE_STATES[status].word) for status in AccountStatus],
    }
    return render(request, "instances/pages/history/history.html", context)


@require_safe
@login_required
def news(request: HttpRequest, number: int) -> HttpResponse:
    """The button “3 new changes, show”, when there are some behind the newest one that the page knows; else 204."""
    instance = visible_instance(request, number)
    chosen, seen = asked_status(request), parse_digits(request.GET.get("seen", "")) or 0
    count = count_since(instance, seen, status=chosen)
    if str(count) == request.GET.get("told", "0"):
        return HttpResponse(status=204)
    context = {"instance": instance, "count": count, "seen": seen, "chosen": chosen}
    return render(request, "instances/pages/history/history.html#news", context)
