"""Sending Messages: a message through the instance as a client sends it, its ticks as they come, and the queue."""

from __future__ import annotations

from typing import Any

from django.contrib import messages as said
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
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

PAGE = "testing_tools/sending/sending.html"
QUEUE_SHOWN = 10


def live_context(instance: Instance) -> dict[str, Any]:
    """The messages with their ticks, and what waits. Five queries."""
    messages = acks.sent_messages(instance)
    missing_acks.explain(instance, messages)
    queue = acks.waiting(instance)
    in_queue = queue.count()
    return {
        "instance": instance,
        "messages_sent": messages,
        "in_queue": in_queue,
        "queue": queue.order_by("queue_number")[:QUEUE_SHOWN],
        "queue_shown": QUEUE_SHOWN,
        "queue_waits": missing_acks.waiting_for(instance),
        "cursor": acks.cursor(messages, in_queue),
        "limit": QUEUE_LIMIT,
        "is_sandbox": instance.channel == Channel.SANDBOX,
    }


def context_of(instance: Instance, **more: Any) -> dict[str, Any]:
    """What the page shows, whole or in part; `more` overrides."""
    return live_context(instance) | form_context(instance, **more)


def form_context(instance: Instance, *, form: SendForm | None = None, **more: Any) -> dict[str, Any]:
    form = form or SendForm(initial=sending_forms.example())
    form.mark_needed()
    cannot = channel_of(instance).cannot
    kinds = [
        {
            "name": kind,
            "label": sending_forms.What(kind).label,
            "icon": icon,
            "method": method,
            "fields": [form[name] for name in fields],
            "cannot": cannot.get(sending_forms.TYPES[sending_forms.What(kind)], ""),
        }
        for kind, (icon, method, fields) in sending_forms.KINDS.items()
    ]
    return {
        "instance": instance,
        "form": form,
        "kinds": kinds,
        "chosen": form.chosen,
        "never": missing_acks.never(instance),
    } | more


@require_safe
@login_required
def sending(request: HttpRequest) -> HttpResponse:
    """The page; `?to=` fills in the recipient."""
    instance = chosen_instance(request)
    if instance is None:
        return render(request, PAGE, {"instance": None})
    to = request.GET.get("to", "").replace("\0", "")[:60]
    form = SendForm(initial=sending_forms.example() | ({"recipient": to} if to else {}))
    return render(request, PAGE, context_of(instance, form=form))


@require_safe
@login_required
def sent(request: HttpRequest) -> HttpResponse:
    """The list of messages with their ticks; 204 while it is what the page shows already (`?seen=`)."""
    instance = require_instance(request)
    context = live_context(instance)
    if request.GET.get("seen") == context["cursor"]:
        return HttpResponse(status=204)
    return render(request, f"{PAGE}#sent", context)


@require_POST
@login_required
def send(request: HtmxRequest) -> HttpResponse:
    instance = require_changeable_instance(request)
    form = SendForm(request.POST, request.FILES)
    answer: dict[str, Any] = {"form": form}
    if instance.is_stopped:
        form.add_error(None, "This instance is stopped, so it sends nothing.")
    if not instance.is_paid:
        form.add_error(None, "This instance is not paid, so it sends nothing.")
    if form.is_valid():
        call = form.to_call()
        reply: Any = METHODS[call.method].call(
            instance, {name.lower(): value for name, value in call.arguments.items()}
        )
        if reply["sent"]:
            answer |= {"reply": pretty(reply), "outgoing": reply, "call": call}
        else:
            form.add_error(None, reply["message"])
    if not request.htmx:
        if "outgoing" in answer:
            return redirect(f"{reverse('testing:sending')}?instance={instance.number}")
        return render(request, PAGE, context_of(instance, **answer))
    return render(request, f"{PAGE}#send", form_context(instance, **answer))


@require_POST
@login_required
def clear(request: HttpRequest) -> HttpResponse:
    """Empties the queue, as clearMessagesQueue of the API does it."""
    instance = require_changeable_instance(request)
    gone, in_hand, _ = clear_messages(instance, acting_user=current_user(request))
    words = f"{gone} {'message was' if gone == 1 else 'messages were'} removed from the queue."
    if in_hand:
        words += f" {in_hand} in the messenger's hands {'is' if in_hand == 1 else 'are'} sent all the same."
    said.success(request, words)
    return redirect(f"{reverse('testing:sending')}?instance={instance.number}")
