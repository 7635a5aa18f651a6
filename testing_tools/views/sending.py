"""Sending Messages: a message through the instance, and its ticks as they come."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from instances import actions, chat_ids
from instances.contract.sending import reply
from instances.models import Instance
from testing_tools import ticks
from testing_tools.json_text import pretty
from testing_tools.views.chosen import chosen_instance, must_change, must_choose

PAGE = "testing/sending.html"
QUEUE_SHOWN = 10


class SendForm(forms.Form):
    """A recipient as a phone number or a chat id, and a text."""

    recipient = forms.CharField(
        max_length=60,
        label="To",
        help_text="A phone number with its country code, or a chat id such as 17680561234@c.us.",
        error_messages={"required": "Say who shall get it: a phone number with its country code."},
    )
    text = forms.CharField(
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={"required": "The message is empty. Write something."},
    )

    def clean_recipient(self) -> str:
        typed: str = self.cleaned_data["recipient"]
        if "@" not in typed:  # people write +1 (768) 056-1234
            typed = "".join(letter for letter in typed if letter not in " ()-./")
        try:
            return chat_ids.of_phone(typed)
        except chat_ids.BadChatId:
            raise forms.ValidationError(
                "A phone number is 9 to 14 digits and starts with the country code; a group's chat id ends in @g.us."
            ) from None


def context_of(instance: Instance, **more: Any) -> dict[str, Any]:
    """What the page shows, whole or in part; `more` overrides."""
    messages = ticks.sent_messages(instance)
    queue = ticks.waiting(instance)
    in_queue = queue.count()
    context = {
        "instance": instance,
        "form": SendForm(initial={"recipient": "+17680561234", "text": "Hello!"}),
        "messages_sent": messages,
        "in_queue": in_queue,
        "queue": queue.order_by("queue_number")[:QUEUE_SHOWN],
        "cursor": ticks.cursor(messages, in_queue),
        "limit": actions.QUEUE_LIMIT,
    }
    return context | more


@require_safe
@login_required
def sending(request: HttpRequest) -> HttpResponse:
    instance = chosen_instance(request)
    return render(request, PAGE, context_of(instance) if instance else {"instance": None})


@require_safe
@login_required
def sent(request: HttpRequest) -> HttpResponse:
    """The list of messages with their ticks; 204 while it is what the page shows already (`?seen=`)."""
    instance = must_choose(request)
    context = context_of(instance)
    if request.GET.get("seen") == context["cursor"]:
        return HttpResponse(status=204)
    return render(request, f"{PAGE}#sent", context)


@require_POST
@login_required
def send(request: HttpRequest) -> HttpResponse:
    instance = must_change(request)
    form = SendForm(request.POST)
    answer: dict[str, Any] = {"form": form}
    if instance.is_stopped:
        form.add_error(None, "This instance is stopped, so it sends nothing.")
    if not instance.is_paid:
        form.add_error(None, "This instance is not paid, so it sends nothing.")
    if form.is_valid():
        try:
            outgoing = actions.send_message(
                instance, chat_id=form.cleaned_data["recipient"], body=form.cleaned_data["text"]
            )
            answer["outgoing"] = outgoing
            answer["reply"] = pretty(reply(instance, outgoing))
        except (actions.TooLong, actions.QueueFull) as refusal:
            form.add_error(None, str(refusal))
    if not request.htmx:  # type: ignore[attr-defined]
        if "outgoing" in answer:
            return redirect(f"{reverse('testing:sending')}?instance={instance.number}")
        return render(request, PAGE, context_of(instance, **answer))
    return render(request, f"{PAGE}#send", context_of(instance, **answer))
