"""A customer's hook and message in the frame of the support desk: what the customer's own pages show, read-only.

Secrets are masked. So are contents, until a user with the permission to read bodies asks for them. The pages do not
update themselves, and the audit log records each view.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.audit import AuditAction
from accounts.impersonation import VIEW_BODY
from chatapi.staff.base.viewing import record_view
from chatapi.staff.desk.links import PAGE_NAMES, customer_url, hooks_of_message_url
from chatapi.staff.impersonation import mask_secrets
from hooks.body_masking import masked_bodies
from hooks.models import Hook
from instances.actions.message_lookup import UnknownMessage
from instances.models import Channel, Instance
from instances.pages.log.hook_views import hook_context
from instances.pages.log.shared_hooks import masked_url, show_without_credentials
from instances.pages.queue import message_page
from instances.pages.received import turn_page
from instances.sending.accepted import find_accepted
from instances.turns.reading import find_received

PERMISSIONS = ("hooks.view_hook", "hooks.view_attempt")
CONTENTS = "contents"  # the query parameter that shows contents


def shows_contents(request: HttpRequest) -> bool:
    return CONTENTS in request.GET and request.user.has_perm(VIEW_BODY)


def record_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For a view of a customer's record: who may open it, and whether all that it reads is masked."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.has_perms(PERMISSIONS):
            raise PermissionDenied("Your group does not have access to hooks and messages.")
        with nullcontext() if shows_contents(request) else masked_bodies():
            return view(request, *args, **kwargs)

    return require_safe(wrapped)


@record_page
def hook(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """A hook with its attempts, and what staff can do with it."""
    with_instance = Hook.objects.show_sending().select_related("endpoint__instance__owner__owner")
    found = get_object_or_404(with_instance, public_id=public_id)
    context = hook_context(found, show=show_without_credentials, url=masked_url) | {
        "title": f"{found.get_kind_display()} hook",
        "part": "instances/pages/log/hook.html#live",
        "tools": admin.site.get_model_admin(Hook).tools_for(request, found),  # type: ignore[attr-defined]
        "tables": [
            ("Hook", reverse("admin:hooks_hook_change", args=[found.pk])),
            ("Attempts", reverse("admin:hooks_attempt_changelist", query={"q": found.webhook_id})),
        ],
    }
    return show_record(request, found.endpoint.instance, context, {"hook": found.webhook_id})


@record_page
def received_message(request: HttpRequest, number: int, message_id: str) -> HttpResponse:
    """A received message: its hooks, what the bot sent because of it, and the acks."""
    instance = instance_with_owner(number)
    message = find_or_404(find_received, instance, message_id)
    context = {
        "title": "Received message",
        "part": "instances/pages/received/turn.html#live",
        "shown": turn_page.read_view(instance, message),
    }
    return show_message(request, instance, context, message_id)


@record_page
def sent_message(request: HttpRequest, number: int, message_id: str) -> HttpResponse:
    """A message that the API has accepted: its state, times and tries."""
    instance = instance_with_owner(number)
    message = find_or_404(find_accepted, instance, message_id)
    context = {
        "title": "Sent message",
        "part": "instances/pages/queue/message.html#live",
        "shown": message_page.read_message(instance, message),
        "is_sandbox": instance.channel == Channel.SANDBOX,
    }
    return show_message(request, instance, context, message_id)


def instance_with_owner(number: int) -> Instance:
    """Any customer's instance. Raises Http404 if it does not exist."""
    found = Instance.objects.select_related("endpoint", "owner__owner")
    return get_object_or_404(found, number=min(number, 2**31 - 1))


def find_or_404(find: Callable[[Instance, str], Any], instance: Instance, message_id: str) -> Any:
    try:
        return find(instance, message_id)
    except UnknownMessage as reason:
        raise Http404(str(reason)) from None


def show_message(
    request: HttpRequest, instance: Instance, context: dict[str, Any], message_id: str
) -> HttpResponse:
    context["tables"] = [("Hooks", hooks_of_message_url(instance.number, message_id))]
    return show_record(request, instance, context, {"message": message_id})


def show_record(
    request: HttpRequest, instance: Instance, context: dict[str, Any], detail: dict[str, str]
) -> HttpResponse:
    """Records the view, and renders the page."""
    reads_contents = shows_contents(request)
    action = AuditAction.BODY_READ if reads_contents else AuditAction.RECORD_VIEWED
    record_view(request, [instance], action=action, detail=detail)
    shown = admin.site.each_context(request) | {
        "instance": instance,
        "customer_url": customer_url(instance.owner_id, instance.number),
        "snapshot": True,
        "page_names": PAGE_NAMES,
        "keep_days": settings.HOOKS_KEEP_DAYS,
        "may_read": request.user.has_perm(VIEW_BODY),
        "shows_contents": reads_contents,
    }
    response = render(request, "chatapi/staff/desk/record.html", shown | context)
    mask_secrets(response, instance.owner.owner)
    return response
