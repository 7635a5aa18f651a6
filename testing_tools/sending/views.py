"""Sending Messages: sends a message like a client of the API; shows its acks as they arrive, and the queue."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.text import capfirst
from django.views.decorators.http import require_POST, require_safe

from accounts.current_user import current_user
from chatapi.ui.json_text import pretty
from chatapi.ui.requests import HtmxRequest
from instances.actions.sending.accept import QUEUE_LIMIT
from instances.actions.sending.message_queue import clear_messages
from instances.channels import channel_of
from instances.contract.registry import METHODS
from instances.models import Channel, Instance
from instances.pages.chosen_instance import chosen_instance, require_changeable_instance, require_instance
from testing_tools.sending import acks, missing_acks
from testing_tools.sending import forms as sending_forms
from testing_tools.sending.forms import SendForm
from testing_tools.sending.kinds import KINDS, MessageKind

PAGE = "testing_tools/sending/sending.html"
QUEUE_SHOWN = 10


def live_context(instance: Instance) -> dict[str, Any]:
    """Returns the context of the polled part: the messages with their acks, and the queue. Six queries."""
    sent_messages = acks.sent_messages(instance)
    missing_acks.explain(instance, sent_messages)
    queue = acks.queued_messages(instance)
    in_queue = queue.count()
    return {
        "instance": instance,
        "sent_messages": sent_messages,
        "in_queue": in_queue,
        "queue": queue.order_by("queue_number")[:QUEUE_SHOWN],
        "queue_shown": QUEUE_SHOWN,
        "queue_reason": missing_acks.queue_stopped_because(instance),
        "cursor": acks.cursor(sent_messages, in_queue),
        "limit": QUEUE_LIMIT,
        "is_sandbox": instance.channel == Channel.SANDBOX,
    }


def page_context(instance: Instance, **more: Any) -> dict[str, Any]:
    """Returns the context of the whole page; `more` overrides."""
    return live_context(instance) | form_context(instance, **more)


def form_context(instance: Instance, *, form: SendForm | None = None, **more: Any) -> dict[str, Any]:
    form = form or SendForm(initial=sending_forms.example())
    form.mark_required()
    cannot = channel_of(instance).cannot
    kinds = [
        {
            "name": name,
            "label": MessageKind(name).label,
            "icon": kind.icon,
            "method": kind.method,
            "fields": [form[field] for field in kind.fields],
            "cannot": cannot.get(kind.message_type, ""),
        }
        for name, kind in KINDS.items()
    ]
    return {
        "instance": instance,
        "form": form,
        "kinds": kinds,
        "chosen": form.chosen,
        "never_reported": missing_acks.never_reported(instance),
    } | more


@require_safe
@login_required
def sending(request: HttpRequest) -> HttpResponse:
    """Shows the page. `?to=` fills in the recipient."""
    instance = chosen_instance(request)
    if instance is None:
        return render(request, PAGE, {"instance": None})
    to = request.GET.get("to", "").replace("\0", "")[:60]
    form = SendForm(initial=sending_forms.example() | ({"recipient": to} if to else {}))
    return render(request, PAGE, page_context(instance, form=form))


@require_safe
@login_required
def sent(request: HttpRequest) -> HttpResponse:
    """Shows the messages and their acks to a poll; 204 if the page already shows them (`?seen=` is its cursor)."""
    instance = require_instance(request)
    context = live_context(instance)
    if request.GET.get("seen") == context["cursor"]:
        return HttpResponse(status=204)
    return render(request, f"{PAGE}#sent", context)


@require_POST
@login_required
def send(request: HtmxRequest) -> HttpResponse:
    """Send the message through its method of the wire contract; shows the method's response, or the errors."""
    instance = require_changeable_instance(request)
    form = SendForm(request.POST, request.FILES)
    result: dict[str, Any] = {"form": form}
    if instance.is_stopped:
        form.add_error(None, "This instance is stopped: it sends no messages.")
    if not instance.is_paid:
        form.add_error(None, f"{capfirst(instance.why_unpaid)}: it sends no messages.")
    if form.is_valid():
        call = form.to_call()
        response: Any = METHODS[call.method].call(
            instance, {name.lower(): value for name, value in call.arguments.items()}
        )
        if response["sent"]:
            result |= {"response": pretty(response), "outgoing": response, "call": call}
        else:
            form.add_error(None, response["message"])
    if not request.htmx:
        if "outgoing" in result:
            return redirect(f"{reverse('testing:sending')}?instance={instance.number}")
        return render(request, PAGE, page_context(instance, **result))
    return render(request, f"{PAGE}#send", form_context(instance, **result))


@require_POST
@login_required
def clear(request: HttpRequest) -> HttpResponse:
    """Clear the queue, like `clearMessagesQueue` of the API."""
    instance = require_changeable_instance(request)
    removed, in_progress, _ = clear_messages(instance, acting_user=current_user(request))
    text = f"{removed} {'message was' if removed == 1 else 'messages were'} removed from the queue."
    if in_progress:
        text += f" {in_progress} already handed to the messenger {'is' if in_progress == 1 else 'are'} still sent."
    messages.success(request, text)
    return redirect(f"{reverse('testing:sending')}?instance={instance.number}")
