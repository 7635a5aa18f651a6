"""The admin's site: our name, the health page, the way out of a look, and a second factor for staff if it is wanted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.views.decorators.http import require_POST

from accounts import looking
from chatapi.staff.health import health


class StaffSite(admin.AdminSite):
    """Django's admin with three pages of ours."""

    site_header = site_title = "Chat API staff"
    index_title = "The staff desk"
    site_url = "/"
    index_template = "staff/index.html"

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [
            path("health/", self.admin_view(health), name="health"),
            path("leave-look/", self.admin_view(leave_look), name="leave_look"),
            *super().get_urls(),
        ]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return super().each_context(request) | {"look": getattr(request, "look", None)}


@require_POST
def leave_look(request: HttpRequest) -> HttpResponse:
    """Ends the look at an account; leads back to the account's row."""
    look = looking.current(request)
    if look is None:
        return HttpResponseRedirect(reverse("admin:index"))
    looking.end(request, look)
    messages.success(request, f"You have left {look.account}.")
    return HttpResponseRedirect(reverse("admin:accounts_account_change", args=[look.account.pk]))
