"""Bins on the support desk, and a page of the largest ones."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from chatapi.staff.base.lists import StaffAdmin, fetch_keys, instance_numbered, parse_number
from testing_tools.verification.models import Bin, Capture

BINS_SHOWN = 100


@admin.register(Bin)
class BinAdmin(StaffAdmin):
    """Bins. Captures are private and not shown."""

    list_display = ("key", "instance", "account", "captured", "dropped", "created_at")
    list_select_related = ("instance", "account__owner")
    change_list_template = "chatapi/staff/bins.html"
    search_fields = ("key",)
    search_help_text = "A bin's key, or an instance's number"
    fields = (
        "key",
        "instance",
        "account",
        "captured",
        "dropped",
        "created_at",
        "answer_status",
        "answer_delay",
    )
    readonly_fields = ("key",)

    def search_condition(self, text: str) -> Q | None:
        if parse_number(text) is not None:
            return Q(instance__in=fetch_keys(instance_numbered(text)))
        return Q(key=text)

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.by_size)
        return [path("by-size/", page, name="testing_tools_bin_by_size"), *super().get_urls()]

    def by_size(self, request: HttpRequest) -> HttpResponse:
        """The BINS_SHOWN bins that store the most bytes of bodies. Sums over an index of all captures."""
        if not self.has_view_permission(request):
            raise PermissionDenied("Your group does not have access to bins.")
        context = self.admin_site.each_context(request) | {
            "title": "Bins by size",
            "opts": self.opts,
            "bins": largest_bins(),
        }
        return TemplateResponse(request, "chatapi/staff/bins_by_size.html", context)


def largest_bins() -> list[dict[str, Any]]:
    """`bin`, `bytes` and `captures` of each. Reads one index, not the captures."""
    kept = Capture.objects.filter(too_large=False).order_by().values("bin_id")
    sizes = kept.annotate(bytes=Sum("size"), captures=Count("size")).order_by("-bytes")[:BINS_SHOWN]
    rows = list(sizes)
    bins = Bin.objects.select_related("instance", "account__owner").in_bulk([row["bin_id"] for row in rows])
    return [row | {"bin": bins[row["bin_id"]]} for row in rows if row["bin_id"] in bins]
