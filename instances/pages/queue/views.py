"""The queue's page and a message's page, and their buttons. Both pages poll their live part."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import capfirst
from django.views.decorators.http import require_POST, require_safe

from accounts.current_user import current_user
from chatapi.ui.numbers import parse_digits
from hooks.actions.hooks import NotPossible
from instances.actions.message_lookup import UnknownMessage
from instances.actions.sending.accept import QUEUE_LIMIT, QueueFull
from instances.actions.sending.message_queue import clear_messages
from instances.actions.sending.one_message import cancel_message, resend_message
from instances.models import Channel, Instance
from instances.pages import access
from instances.pages.access import visible_instance
from instances.pages.queue import message_page, queue_rows
from instances.sending.accepted import find_accepted
from instances.sending.waits import pace_words
from instances.tool_links import tool_url

QUEUE = "instances/pages/queue/queue.html"
MESSAGE = "instances/pages/queue/message.html"


@require_safe
@login_required
def queue(request: HttpRequest, number: int) -> HttpResponse:
    """The queue; with `?seen=` only its live part, or 204 if the page shows the current one."""
    instance = visible_instance(request, number)
    before = parse_digits(request.GET.get("before", ""))
    view = queue_rows.read_queue(instance, failed_before=before)
    context = {
        "instance": instance,
        "tab": "queue",
        "queue": view,
        "before": before,
        "limit": QUEUE_LIMIT,
        "keep_days": settings.HOOKS_KEEP_DAYS,
        "pace": pace_words(instance),
        "sending_url": tool_url("sending", instance.number),
    }
    if "seen" in request.GET:
        if request.GET["seen"] == view.cursor:
            return HttpResponse(status=204)
        return render(request, f"{QUEUE}#live", context)
    return render(request, QUEUE, context)


@require_POST
@login_required
def clear(request: HttpRequest, number: int) -> HttpResponse:
    """Clear the queue, as `clearMessagesQueue` of the API does."""
    instance = access.changeable_instance(request, number)
    removed, in_delivery, _ = clear_messages(instance, acting_user=current_user(request))
    text = f"{removed} {'message was' if removed == 1 else 'messages were'} removed from the queue."
    if in_delivery:
        text += f" {in_delivery} {'is' if in_delivery == 1 else 'are'} being sent now and can't be removed."
    messages.success(request, text)
    return redirect("instances:queue", number)


def message_context(instance: Instance, message_id: str) -> dict[str, Any]:
    try:
        found = find_accepted(instance, message_id)
    except UnknownMessage as reason:
        raise Http404(str(reason)) from None
    return {
        "instance": instance,
        "tab": "queue",
        "shown": message_page.read_message(instance, found),
        "keep_days": settings.HOOKS_KEEP_DAYS,
        "is_sandbox": instance.channel == Channel.SANDBOX,
    }


@require_safe
@login_required
def message(request: HttpRequest, number: int, message_id: str) -> HttpResponse:
    """One message; with `?seen=` only its live part, or 204 if the page shows the current one."""
    context = message_context(visible_instance(request, number), message_id)
    if "seen" in request.GET:
        if request.GET["seen"] == context["shown"].cursor:
            return HttpResponse(status=204)
        return render(request, f"{MESSAGE}#live", context)
    return render(request, MESSAGE, context)


@require_POST
@login_required
def cancel(request: HttpRequest, number: int, message_id: str) -> HttpResponse:
    """Cancel a waiting message, then show the queue: the message no longer exists."""
    instance = access.changeable_instance(request, number)
    try:
        cancel_message(instance, message_id=message_id.replace("\0", ""), acting_user=current_user(request))
    except (NotPossible, UnknownMessage) as reason:  # it was sent after the page was rendered
        messages.error(request, str(reason))
    else:
        messages.success(request, "The message was cancelled. It is not sent.")
    return redirect("instances:queue", number)


@require_POST
@login_required
def resend(request: HttpRequest, number: int, message_id: str) -> HttpResponse:
    """Resend a failed message, then show it."""
    instance = access.changeable_instance(request, number)
    if not instance.is_paid:
        messages.error(request, f"{capfirst(instance.why_unpaid)}: messages are not sent.")
        return redirect("instances:queue", number)
    try:
        resent = resend_message(
            instance, message_id=message_id.replace("\0", ""), acting_user=current_user(request)
        )
    except (NotPossible, QueueFull, UnknownMessage) as reason:
        messages.error(request, str(reason))
        return redirect("instances:queue", number)
    messages.success(request, f"The message is in the queue again, as no. {resent.queue_number}.")
    return redirect("instances:message", number, resent.message_id)
