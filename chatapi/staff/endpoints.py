"""Endpoints on the support desk: where hooks go, and which endpoints fail. Secrets are not shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from accounts.audit import Audited
from chatapi.staff.base.lists import StaffAdmin, fetch_keys, row_link
from chatapi.staff.base.search import INSTANCE_HELP, instances_matching
from hooks.log.endpoint_numbers import numbers_of
from hooks.models import Endpoint
from instances.endpoint_filters import describe_filters
from instances.models import Instance
from instances.pages.log.shared_hooks import masked_url


class HealthFilter(admin.SimpleListFilter):
    """Endpoints whose deliveries all fail now, or that are paused."""

    title = "health"
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("failing", "Failing now"), ("paused", "Paused")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "failing":
            return queryset.filter(pk__in=fetch_keys(Endpoint.objects.failing()))
        return (
            queryset.filter(pk__in=fetch_keys(Endpoint.objects.paused()))
            if self.value() == "paused"
            else queryset
        )


@admin.register(Endpoint)
class EndpointAdmin(StaffAdmin):
    """Endpoints with their delivery mode and health."""

    list_display = (
        "of_instance", "webhook_url", "name", "is_first", "guaranteed", "parallel", "overridden_until", "failing_since",
        "paused_at", "pause_reason", "removed_at",
    )  # fmt: skip
    list_display_links = ("webhook_url",)  # the first column is already a link, to the instance
    list_select_related = ("instance",)
    list_filter = (HealthFilter, "pause_reason", "guaranteed", "parallel")
    windowed = True
    search_fields = ("instance",)
    search_help_text = INSTANCE_HELP
    exclude = ("secret", "previous_secret", "url", "typed_url", "override_url")
    readonly_fields = ("webhook_url", "filters_in_words", "waiting", "delivered_last_hour")

    def search_condition(self, text: str) -> Q | None:
        return Q(instance__in=fetch_keys(Instance.objects.filter(instances_matching(text))))

    def audit_subjects(self, row: Endpoint) -> Sequence[Audited]:
        return [row.instance]

    @admin.display(description="webhook URL", empty_value="none")
    def webhook_url(self, endpoint: Endpoint) -> str | None:
        return masked_url(endpoint.url) or None

    @admin.display(description="first", boolean=True)
    def is_first(self, endpoint: Endpoint) -> bool:
        return endpoint.is_first

    @admin.display(description="gets")
    def filters_in_words(self, endpoint: Endpoint) -> str:
        return describe_filters(endpoint)

    @admin.display(description="waiting now")
    def waiting(self, endpoint: Endpoint) -> str:
        return numbers_of([endpoint.pk])[endpoint.pk].waiting.words

    @admin.display(description="delivered, last hour", empty_value="none sent")
    def delivered_last_hour(self, endpoint: Endpoint) -> str | None:
        numbers = numbers_of([endpoint.pk])[endpoint.pk]
        if not numbers.sent:
            return None
        return f"{numbers.percent} % ({numbers.delivered.words} of {numbers.sent.words} sent, without simulations)"

    @admin.display(description="verification until")
    def overridden_until(self, endpoint: Endpoint) -> datetime | None:
        return endpoint.override_until

    @admin.display(description="instance")
    def of_instance(self, endpoint: Endpoint) -> str:
        return row_link("instances_instance", endpoint.instance_id, endpoint.instance)
