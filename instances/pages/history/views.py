"""The pages of an instance's status history. New changes appear when the user asks for them, so lines do not move."""

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
from instances.pages.history.status_history import count_since, read_history


def status_filter(request: HttpRequest) -> str:
    """Returns `?status=`; empty if it is not an accountStatus."""
    status = request.GET.get("status", "")
    return status if status in AccountStatus.values else ""


@require_safe
@login_required
def history(request: HttpRequest, number: int) -> HttpResponse:
    instance = visible_instance(request, number)
    chosen, before = status_filter(request), parse_digits(request.GET.get("before", ""))
    context = {
        "instance": instance,
        "tab": "history",
        "status": status_texts.describe(instance),
        "history": read_history(instance, status=chosen, before=before),
        "before": before,
        "chosen": chosen,
        "choices": [(status, INSTANCE_STATES[status].word) for status in AccountStatus],
    }
    return render(request, "instances/pages/history/history.html", context)


@require_safe
@login_required
def news(request: HttpRequest, number: int) -> HttpResponse:
    """The button “3 new changes, show” if its number has changed (`?shown_count=`), else 204."""
    instance = visible_instance(request, number)
    chosen, seen = status_filter(request), parse_digits(request.GET.get("seen", "")) or 0
    count = count_since(instance, seen, status=chosen)
    if str(count) == request.GET.get("shown_count", "0"):
        return HttpResponse(status=204)
    context = {"instance": instance, "count": count, "seen": seen, "chosen": chosen}
    return render(request, "instances/pages/history/history.html#news", context)
