"""The admin site: its name, the health page, the end of an impersonation, and a second factor for staff if required."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.views.decorators.http import require_POST

from accounts import impersonation
from chatapi.staff.desk import issues, records
from chatapi.staff.desk.customers import customer
from chatapi.staff.desk.home import home, tables
from chatapi.staff.desk.links import customer_url
from chatapi.staff.desk.menu import desk_menu
from chatapi.staff.health import health
from chatapi.staff.search import search


class StaffSite(admin.AdminSite):
    """Django's admin with pages of ours."""

    site_header = site_title = "Chat API support"
    index_title = "Support desk"
    site_url = "/"

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [
            path("health/", self.admin_view(health), name="health"),
            path("search/", self.admin_view(search), name="search"),
            path("issues/", self.admin_view(issues.issues), name="issues"),
            path("issues/<uuid:public_id>/resend/", self.admin_view(issues.resend), name="resend_issue"),
            path("customers/<int:account_id>/", self.admin_view(customer), name="customer"),
            path("hooks/<uuid:public_id>/", self.admin_view(records.hook), name="customer_hook"),
            # ids of messengers may have slashes
            path(
                "received/<int:number>/<path:message_id>/",
                self.admin_view(records.received_message),
                name="customer_received_message",
            ),
            path(
                "sent/<int:number>/<path:message_id>/",
                self.admin_view(records.sent_message),
                name="customer_sent_message",
            ),
            path("tables/", self.admin_view(tables), name="tables"),
            path("stop-viewing/", self.admin_view(end_impersonation), name="end_impersonation"),
            *super().get_urls(),
        ]

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        return hide_from_customers(super().admin_view(require_second_factor(view), cacheable))

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return home(request, extra_context)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return super().each_context(request) | {
            "impersonation": getattr(request, "impersonation", None),
            "desk_menu": desk_menu(request),
        }


def hide_from_customers(view: Callable[..., Any]) -> Callable[..., Any]:
    """Respond with 404 to a signed-in user who is not staff: for customers there is no support desk."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.user.is_authenticated and not request.user.is_staff:
            raise Http404("There is no such page.")
        return view(request, *args, **kwargs)

    return wrapped


def require_second_factor(view: Callable[..., Any]) -> Callable[..., Any]:
    """With STAFF_NEEDS_TOTP, redirect staff without a second factor to the page where they set one up."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if settings.STAFF_NEEDS_TOTP and request.user.is_staff and not is_mfa_enabled(request.user):
            messages.warning(request, "The support desk requires two-factor authentication. Set it up first.")
            return HttpResponseRedirect(reverse("mfa_index"))
        return view(request, *args, **kwargs)

    return wrapped


@require_POST
def end_impersonation(request: HttpRequest) -> HttpResponse:
    """Ends the viewing of an account; redirects to the account's page."""
    viewing = impersonation.current_impersonation(request)
    if viewing is None:
        return HttpResponseRedirect(reverse("admin:index"))
    impersonation.end(request, viewing)
    messages.success(request, f"You no longer view {viewing.account}.")
    return HttpResponseRedirect(customer_url(viewing.account.pk))
