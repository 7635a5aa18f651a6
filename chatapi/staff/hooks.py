"""Hooks, attempts and redeliveries on the support desk, read-only.

Bodies are private: reading one requires its own permission, and the audit log records it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from accounts.audit import AuditAction, Audited
from accounts.models import Account
from chatapi.staff.base.lists import ReadOnly, StaffAdmin, fetch_keys, parse_number, row_link, search_link
from chatapi.staff.base.search import hooks_of_message, is_message_id, of_instance
from chatapi.staff.base.tools import Tool
from chatapi.staff.base.viewing import record_view
from chatapi.staff.desk.links import hook_url
from chatapi.ui.body_reading import ReadableBody, readable
from chatapi.ui.json_text import pretty_text
from hooks.actions import hooks as hook_actions
from hooks.explain.sentences import body_dropped_words, explain, explain_hook
from hooks.explain.verdicts import explanation_in_full
from hooks.models import UNFINISHED, Attempt, Hook, Redelivery, RedeliveryPart, parse_webhook_id
from instances.models import Instance
from instances.pages.log.shared_hooks import masked_url

VIEW_BODY = "hooks.view_body"
NO_ROW = "There is no such row."


class BodyAdmin(StaffAdmin):
    """A list whose rows have a body; the page with the body requires VIEW_BODY."""

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
        if row is not None and request.user.has_perm(VIEW_BODY):
            context["body_page"] = reverse(
                f"admin:{self.opts.app_label}_{self.opts.model_name}_body", args=[row.pk]
            )
        return super().render_change_form(request, context, *args, **kwargs)

    def body(self, request: HttpRequest, key: int) -> HttpResponse:
        """Shows the body as text, never as HTML; writes an audit entry."""
        if not request.user.has_perm(VIEW_BODY) or not self.has_view_permission(request):
            raise PermissionDenied(
                "Bodies require their own permission: “Can read the bodies of hooks and answers”."
            )
        row = self.model._default_manager.filter(pk=key).first() if key < 2**63 else None
        if row is None:
            raise Http404(NO_ROW)
        record_view(
            request,
            self.audit_subjects(row),
            action=AuditAction.BODY_READ,
            detail={"of": str(self.opts.model_name), **self.audit_detail(row)},
        )
        read = self.read_body(row)
        if self.hook_of(row).body_dropped_at is not None:
            read = read._replace(text=f"({body_dropped_words()}.)", decoded_from="", note="")
        context = self.admin_site.each_context(request) | {
            "title": f"Body of {row}",
            "opts": self.opts,
            "row": row,
            "text": pretty_text(read.text),
            "decoded_from": read.decoded_from,
            "note": read.note,
        }
        return TemplateResponse(request, "chatapi/staff/body.html", context)

    def hook_of(self, row: Any) -> Hook:
        return row

    def audit_subjects(self, row: Any) -> Sequence[Audited]:
        """The hook's instance. Raises Http404 if it was deleted: hooks outlive it for a while."""
        instance = Instance.objects.filter(endpoints=self.hook_of(row).endpoint_id).first()
        if instance is None:  # hooks/maintenance/deleted_instances.py
            raise Http404(NO_ROW)
        return [instance]

    def audit_detail(self, row: Any) -> dict[str, str]:
        return {"hook": self.hook_of(row).webhook_id}

    def read_body(self, row: Any) -> ReadableBody:
        return readable(bytes(row.body))


def cancel_hook(request: HttpRequest, hook: Hook, data: dict[str, Any]) -> str:
    hook_actions.cancel(hook, acting_user=request.user)
    return f"{hook.webhook_id} is cancelled."


def resend_hook(request: HttpRequest, hook: Hook, data: dict[str, Any]) -> str:
    hook_actions.resend(hook, acting_user=request.user)
    return f"{hook.webhook_id} will be resent."


@admin.register(Hook)
class HookAdmin(BodyAdmin):
    """Hooks with their state in words."""

    list_per_page = 30  # each row computes an explanation
    list_display = (
        "webhook_id", "of_instance", "of_endpoint", "kind", "state", "attempts", "explanation", "last_host",
        "created_at",
    )  # fmt: skip
    list_filter = ("state", "kind", "simulated")
    windowed = True
    search_fields = ("public_id",)
    search_help_text = (
        "A hook's id (hook_…), a message's id (false_…), or an instance's number, also with a message's id"
    )
    readonly_fields = ("webhook_id", "explanation", "own_url", "show_attempts")
    fields = (
        "webhook_id", "explanation", "endpoint", "kind", "state", "skip_reason", "message", "chat", "simulated",
        "own_url", "trigger", "attempts_made", "attempts_allowed", "next_attempt_at", "created_at", "finished_at",
        "last_outcome", "last_status", "last_host", "last_ms", "body_dropped_at", "show_attempts",
    )  # fmt: skip
    body_field = "body"
    tools = (
        Tool(
            "cancel", "Cancel", "hooks.cancel_hook",
            "The hook will not be sent. It stays in the log, and its owner can resend it.",
            cancel_hook, dangerous=True, applies=lambda hook: hook.state in UNFINISHED,
        ),
        Tool(
            "resend", "Resend", "hooks.resend_hook",
            "The hook is sent again to the customer's endpoint, with the same webhook-id.",
            resend_hook, applies=lambda hook: hook.is_finished,
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        """Without hooks of deleted instances, whose rows are removed later (hooks/maintenance/deleted_instances.py)."""
        return super().get_queryset(request).select_related("endpoint__instance")

    def page_of(self, row: Hook) -> str:
        return hook_url(row)

    def search_condition(self, text: str) -> Q | None:
        public_id = parse_webhook_id(text)
        if public_id is not None:
            return Q(public_id=public_id)
        if is_message_id(text):
            return Q(pk__in=hooks_of_message(text))
        number, _, message = text.partition(" ")
        if parse_number(number) is None:
            return None
        return of_instance(number) & Q(message=message.strip()) if message.strip() else of_instance(number)

    @admin.display(description="instance")
    def of_instance(self, hook: Hook) -> str:
        return row_link("instances_instance", hook.endpoint.instance_id, hook.endpoint.instance.number)

    @admin.display(description="endpoint")
    def of_endpoint(self, hook: Hook) -> str:
        return row_link("hooks_endpoint", hook.endpoint_id, hook.endpoint)

    @admin.display(description="explanation")
    def explanation(self, hook: Hook) -> str:
        return explain_hook(hook)

    @admin.display(description="own URL", empty_value="none")
    def own_url(self, hook: Hook) -> str | None:
        return masked_url(hook.to_url) or None

    @admin.display(description="attempts")
    def attempts(self, hook: Hook) -> str:
        return f"{hook.attempts_made}/{hook.attempts_allowed}"

    @admin.display(description="attempts")
    def show_attempts(self, hook: Hook) -> str:
        return search_link("hooks_attempt", hook.webhook_id, "Show attempts")


@admin.register(Attempt)
class AttemptAdmin(BodyAdmin):
    """Attempts. The hook's page shows what was sent and the response, without credentials."""

    list_display = ("hook_id", "number", "trigger", "explanation", "side", "total_ms", "started_at")
    list_filter = ("outcome", "side", "trigger")
    windowed = True
    search_fields = ("hook",)
    search_help_text = "A hook's id (hook_…)"
    readonly_fields = ("sent_to", "explanation", "next_step")
    raw_id_fields = ("hook",)
    exclude = ("url", "error", "request_headers", "response_headers", "response_body")
    body_field = "response_body"

    def search_condition(self, text: str) -> Q | None:
        public_id = parse_webhook_id(text)
        return Q(hook__in=fetch_keys(Hook.objects.filter(public_id=public_id))) if public_id else None

    def hook_of(self, row: Attempt) -> Hook:
        return row.hook

    def page_of(self, row: Attempt) -> str:
        return f"{hook_url(row.hook)}#attempt-{row.number}"

    def read_body(self, row: Attempt) -> ReadableBody:
        return readable(bytes(row.response_body), row.response_headers, is_cut=row.is_response_cut)

    @admin.display(description="URL")
    def sent_to(self, attempt: Attempt) -> str:
        return masked_url(attempt.url)

    @admin.display(description="explanation")
    def explanation(self, attempt: Attempt) -> str:
        return explanation_in_full(attempt)

    @admin.display(description="next step")
    def next_step(self, attempt: Attempt) -> str:
        return explain(attempt).next_step or "None."


class RedeliveryPartInline(ReadOnly, admin.TabularInline):
    """The parts of a redelivery, one for each instance."""

    model = RedeliveryPart
    extra = 0


@admin.register(Redelivery)
class RedeliveryAdmin(StaffAdmin):
    """Jobs that resend many hooks."""

    list_display = ("public_id", "state", "planned", "created_by", "created_at", "started_at", "finished_at")
    list_filter = ("state",)
    windowed = True
    list_select_related = ("created_by",)
    search_fields = ("public_id",)
    search_help_text = "A job's id"
    inlines = (RedeliveryPartInline,)

    def audit_subjects(self, row: Redelivery) -> Sequence[Audited]:
        """The accounts whose hooks the job resends: the instances of a member may be of several."""
        endpoints = row.parts.order_by().values("endpoint")
        return list(Account.objects.filter(instances__endpoints__in=endpoints).distinct().order_by("pk"))

    def search_condition(self, text: str) -> Q | None:
        public_id = parse_webhook_id(text)
        return Q(public_id=public_id) if public_id else None
