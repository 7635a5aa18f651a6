"""Endpoints, hooks, attempts and redeliveries on the staff desk: as they are, and nothing to change.

Secrets are shown to nobody. Bodies are private letters: they take a right of their own, and each reading of one
stands in the audit trail.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from chatapi.staff.lists import Desk, keys, link, number, numbered
from chatapi.staff.tools import Tool
from hooks.actions import hooks as hook_actions
from hooks.explain import body_dropped_words, explain, explain_hook
from hooks.models import UNFINISHED, Attempt, Endpoint, Hook, Redelivery, RedeliveryPart
from instances.models import Instance

BODY = "hooks.view_body"


def of_instance(text: str) -> Q:
    """Rows of an endpoint, by its instance's number."""
    return Q(endpoint__in=keys(numbered(text)))


def hook_id(text: str) -> UUID | None:
    """A hook's public id as `webhook-id` has it, or as a UUID; None for any other text."""
    try:
        return UUID(text.removeprefix("hook_"))
    except ValueError:
        return None


class FailingFilter(admin.SimpleListFilter):
    """Those that give nothing but failures now, and those that are paused."""

    title = "health"
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("failing", "Failing now"), ("paused", "Paused")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "failing":
            return queryset.filter(failing_since__isnull=False)
        return queryset.filter(paused_at__isnull=False) if self.value() == "paused" else queryset


@admin.register(Endpoint)
class EndpointDesk(Desk):
    """Where hooks go; with the filter, who is failing."""

    list_display = (
        "of_instance", "url", "guaranteed", "parallel", "borrowed_until", "failing_since", "paused_at", "pause_reason",
    )  # fmt: skip
    list_display_links = ("url",)  # the first column is a link already, to the instance
    list_select_related = ("instance",)
    list_filter = (FailingFilter, "pause_reason", "guaranteed", "parallel")
    window = True
    search_fields = ("instance",)
    search_help_text = "An instance's number"
    exclude = ("secret", "previous_secret")

    def find(self, text: str) -> Q | None:
        if number(text) is None:
            return None
        return Q(pk__in=keys(numbered(text)))

    @admin.display(description="instance")
    def of_instance(self, endpoint: Endpoint) -> str:
        return link("instances_instance", endpoint.pk, endpoint.instance)


def cancel(request: HttpRequest, hook: Hook, asked: dict[str, Any]) -> str:
    hook_actions.cancel(hook, acting_user=request.user)
    return f"{hook.webhook_id} is cancelled."


class BodyDesk(Desk):
    """A list whose rows have a body that takes a right of its own."""

    body_field = ""

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_body"
        return [
            path("<int:key>/body/", self.admin_site.admin_view(self.body), name=name),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer(self.body_field)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        row = kwargs.get("obj")
        if row is not None and request.user.has_perm(BODY):
            context["body_page"] = reverse(
                f"admin:{self.opts.app_label}_{self.opts.model_name}_body", args=[row.pk]
            )
        return super().render_change_form(request, context, *args, **kwargs)

    def body(self, request: HttpRequest, key: int) -> HttpResponse:
        """The bytes as text, never as HTML."""
        if not request.user.has_perm(BODY) or not self.has_view_permission(request):
            raise PermissionDenied(
                "Bodies take a right of their own: “Can read the bodies of hooks and answers”."
            )
        row = self.model._default_manager.filter(pk=key).first() if key < 2**63 else None
        hook = self.hook_of(row) if row is not None else None
        instance = Instance.objects.filter(pk=hook.endpoint_id).first() if hook is not None else None
        # of a deleted instance hooks outlive it for a while (hooks/maintenance/deleted_instances.py)
        if row is None or hook is None or instance is None:
            raise Http404("No such row.")
        assert isinstance(request.user, User)  # BODY is never granted to an anonymous user
        with transaction.atomic():
            audit.record(
                instance,
                AuditAction.BODY_READ,
                acting_user=request.user,
                hook=hook.webhook_id,
                of=self.opts.model_name,
            )
        text = bytes(getattr(row, self.body_field)).decode(errors="replace")
        if hook.body_dropped_at is not None:
            text = f"({body_dropped_words()}.)"
        context = self.admin_site.each_context(request) | {
            "title": f"Body of {row}",
            "opts": self.opts,
            "row": row,
            "text": text,
        }
        return TemplateResponse(request, "chatapi/staff/body.html", context)

    def hook_of(self, row: Any) -> Hook:
        return row


@admin.register(Hook)
class HookDesk(BodyDesk):
    """Events on their way."""

    list_per_page = 30  # each has a sentence made for it

    list_display = (
        "webhook_id",
        "of_instance",
        "kind",
        "state",
        "attempts",
        "explanation",
        "last_host",
        "created_at",
    )
    list_filter = ("state", "kind", "simulated")
    window = True
    search_fields = ("public_id",)
    search_help_text = (
        "A hook's id (hook_…), or an instance's number; with a message's id behind it: 12345 false_…"
    )
    readonly_fields = ("webhook_id", "explanation", "its_attempts")
    fields = (
        "webhook_id", "explanation", "endpoint", "kind", "state", "skip_reason", "message", "chat", "simulated",
        "to_url", "trigger", "attempts_made", "attempts_allowed", "next_attempt_at", "created_at", "finished_at",
        "last_outcome", "last_status", "last_host", "last_ms", "body_dropped_at", "its_attempts",
    )  # fmt: skip
    body_field = "body"
    tools = (
        Tool(
            "cancel", "Cancel", "hooks.cancel_hook",
            "The hook is given up. It stays in the log, and its owner can send it again.",
            cancel, dangerous=True, applies=lambda hook: hook.state in UNFINISHED,
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        """Without those of instances that are deleted, whose rows go later (hooks/maintenance/deleted_instances.py)."""
        return super().get_queryset(request).select_related("endpoint__instance")

    def find(self, text: str) -> Q | None:
        public_id = hook_id(text)
        if public_id is not None:
            return Q(public_id=public_id)
        place, _, message = text.partition(" ")
        if number(place) is None:
            return None
        return of_instance(place) & Q(message=message.strip()) if message.strip() else of_instance(place)

    @admin.display(description="instance")
    def of_instance(self, hook: Hook) -> str:
        return link("instances_instance", hook.endpoint_id, hook.endpoint.instance.number)

    @admin.display(description="where it stands")
    def explanation(self, hook: Hook) -> str:
        return explain_hook(hook)

    @admin.display(description="attempts")
    def attempts(self, hook: Hook) -> str:
        return f"{hook.attempts_made}/{hook.attempts_allowed}"

    @admin.display(description="attempts")
    def its_attempts(self, hook: Hook) -> str:
        page = reverse("admin:hooks_attempt_changelist")
        return format_html('<a href="{}?q={}">Its attempts</a>', page, hook.webhook_id)


@admin.register(Attempt)
class AttemptDesk(BodyDesk):
    """What was sent and what came back."""

    list_display = ("hook_id", "number", "trigger", "explanation", "side", "total_ms", "started_at")
    list_filter = ("outcome", "side", "trigger")
    window = True
    search_fields = ("hook",)
    search_help_text = "A hook's id (hook_…)"
    readonly_fields = ("explanation", "next_step")
    raw_id_fields = ("hook",)
    exclude = ("response_body",)
    body_field = "response_body"

    def find(self, text: str) -> Q | None:
        public_id = hook_id(text)
        return Q(hook__in=keys(Hook.objects.filter(public_id=public_id))) if public_id else None

    def hook_of(self, row: Attempt) -> Hook:
        return row.hook

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
class RedeliveryDesk(Desk):
    """Jobs that send many hooks again."""

    list_display = ("public_id", "state", "planned", "created_by", "created_at", "started_at", "finished_at")
    list_filter = ("state",)
    window = True
    list_select_related = ("created_by",)
    search_fields = ("public_id",)
    search_help_text = "A job's id"
    inlines = (PartInline,)

    def find(self, text: str) -> Q | None:
        public_id = hook_id(text)
        return Q(public_id=public_id) if public_id else None
