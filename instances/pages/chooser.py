"""What the chooser's search finds, for those who have more instances than its list holds."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from instances.pages.frame import CHOOSER_SIZE, InstanceFrame


@require_safe
@login_required
def chooser(request: HttpRequest) -> HttpResponse:
    """The rows for `?q=`, each leading to the page at `?at=` (a path) for that instance."""
    frame = InstanceFrame.of(request)
    words = request.GET.get("q", "").replace("\0", "").strip()[:100]
    found = frame.search(words)
    at = request.GET.get("at", "")
    context = {
        "choices": [(instance, frame.address_for(instance, at)) for instance in found],
        "more": bool(words) and len(found) == CHOOSER_SIZE,
        "searched": bool(words),
    }
    return render(request, "instances/pages/frame/chooser.html#rows", context)
