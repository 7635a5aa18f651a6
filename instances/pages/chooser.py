"""The search of the instance chooser."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from instances.pages.frame import CHOOSER_SIZE, InstanceFrame
from instances.pages.query_parameters import search_text


@require_safe
@login_required
def chooser(request: HttpRequest) -> HttpResponse:
    """The instances matching `?q=`, each with a link to the page at `?at=` (a path) for that instance."""
    frame = InstanceFrame.of(request)
    query = search_text(request)
    found = frame.search(query)
    path = request.GET.get("at", "")
    context = {
        "choices": [(instance, frame.address_for(instance, path)) for instance in found],
        "more": bool(query) and len(found) == CHOOSER_SIZE,
        "searched": bool(query),
    }
    return render(request, "instances/pages/frame/chooser.html#rows", context)
