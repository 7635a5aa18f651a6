"""Staff see endpoints, hooks and attempts as they are, and change nothing here; bodies and secrets are not shown.

Millions of rows: no list counts them all, joins per row, or sorts by anything but an index.
"""

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest
from django.utils.functional import cached_property

from hooks.explain import explain, explain_hook
from hooks.models import Attempt, Endpoint, Hook, Redelivery, RedeliveryPart

COUNTED_MOST = 10_000


class BoundedPaginator(Paginator):
    """Counts up to COUNTED_MOST rows: a COUNT(*) of ten million takes seconds, and nobody pages that far."""

    @cached_property
    def count(self) -> int:
        return self.object_list[:COUNTED_MOST].count()  # type: ignore[attr-defined]


class ReadOnly(admin.ModelAdmin):
    """A model that staff may look at only."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    ordering = ("-pk",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Endpoint)
class EndpointAdmin(ReadOnly):
    list_display = (
        "instance",
        "url",
        "guaranteed",
        "parallel",
        "borrowed_until",
        "failing_since",
        "paused_at",
    )
    list_select_related = ("instance",)
    list_filter = ("guaranteed", "parallel", "pause_reason")
    search_fields = ("instance__number", "url")
    exclude = ("secret", "previous_secret")


@admin.register(Hook)
class HookAdmin(ReadOnly):
    list_display = (
        "webhook_id",
        "endpoint_id",
        "kind",
        "state",
        "attempts",
        "explanation",
        "last_host",
        "created_at",
    )
    list_filter = ("state", "kind", "simulated")
    search_fields = ("public_id__exact", "message__exact")
    search_help_text = "A hook's id (a UUID) or a message's id, whole."
    readonly_fields = ("explanation",)
    exclude = ("body",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("body")

    @admin.display(description="where it stands")
    def explanation(self, hook: Hook) -> str:
        return explain_hook(hook)

    @admin.display(description="attempts")
    def attempts(self, hook: Hook) -> str:
        return f"{hook.attempts_made}/{hook.attempts_allowed}"


@admin.register(Attempt)
class AttemptAdmin(ReadOnly):
    list_display = ("hook_id", "number", "trigger", "explanation", "side", "total_ms", "started_at")
    list_filter = ("outcome", "side", "trigger")
    readonly_fields = ("explanation", "next_step")
    exclude = ("response_body",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("response_body")

    @admin.display(description="what happened")
    def explanation(self, attempt: Attempt) -> str:
        return explain(attempt).sentence

    @admin.display(description="what to do")
    def next_step(self, attempt: Attempt) -> str:
        return explain(attempt).next_step or "Nothing."


class PartInline(admin.TabularInline):
    model = RedeliveryPart
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Redelivery)
class RedeliveryAdmin(ReadOnly):
    list_display = ("public_id", "state", "planned", "created_by", "created_at", "started_at", "finished_at")
    list_filter = ("state",)
    list_select_related = ("created_by",)
    search_fields = ("public_id__exact",)
    inlines = (PartInline,)
