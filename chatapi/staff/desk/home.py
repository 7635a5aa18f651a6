"""The first page of the support desk, and the page that leads to all tables."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from chatapi.staff import health
from chatapi.staff.desk.needs import needs_of
from chatapi.staff.desk.tiles import tiles
from instances.limits import disk_space


@require_safe
def home(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """The tiles and what needs you. Any staff user may open it, and sees what their group may view."""
    context = admin.site.each_context(request) | {
        "title": "Support desk",
        "disk_warning": disk_space.warning(),
        "tiles": tiles() if request.user.has_perm(health.PERMISSION) else [],
        "needs": needs_of(request.user),
    }
    return TemplateResponse(request, "chatapi/staff/desk/home.html", context | (extra_context or {}))


@require_safe
def tables(request: HttpRequest) -> HttpResponse:
    """Links to the lists of Django's admin that the user's group may view."""
    context = admin.site.each_context(request) | {"title": "All tables"}
    return TemplateResponse(
        request, "chatapi/staff/desk/tables.html", context | {"app_list": admin.site.get_app_list(request)}
    )
