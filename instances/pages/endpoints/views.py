"""The webhook URL of an instance: validated while it is typed, tested, and saved."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import capfirst
from django.views.decorators.http import require_POST

from accounts.current_user import current_user
from chatapi.ui.requests import HtmxRequest
from hooks.actions.simulation import simulate
from hooks.models import Hook, Kind
from instances import payloads
from instances.actions.settings import change_settings
from instances.models import Chat, Instance, Message
from instances.pages import access, manual_request_limit
from instances.pages.forms import AddressForm
from instances.pages.log.attempts import ShownAttempt, show
from instances.pages.overview.button_views import card_response
from instances.pages.overview.views import detail_context
from instances.pages.setup.views import setup_context

TEST_TEXT = "This is a test of the webhook URL."
RESPONSE_SHOWN_MAX = 500  # characters


@require_POST
@login_required
def save_address(request: HtmxRequest, number: int) -> HttpResponse:
    instance = access.changeable_instance(request, number)
    form = AddressForm(request.POST)
    in_setup = request.POST.get("next") == "setup"
    if not form.is_valid():
        if in_setup:
            return render(
                request,
                "instances/pages/setup/setup.html",
                setup_context(instance, "address", address_form=form),
            )
        return card_response(request, number, "webhook", address_form=form, failed=True)
    url, endpoint = form.cleaned_data["url"], instance.endpoint
    # An unchanged URL stays as its owner typed it: the page shows it as it is requested.
    wanted = {"webhookUrl": endpoint.shown_url if url and url == endpoint.url else url or None}
    changed = change_settings(instance, changes=wanted, acting_user=current_user(request))
    if in_setup:
        return redirect("instances:setup", number)
    return card_response(request, number, "webhook", saved="changed" if changed else "same")


@require_POST
@login_required
def check_address(request: HtmxRequest, number: int) -> HttpResponse:
    """Validates the URL that is being typed; saves nothing."""
    instance = access.changeable_instance(request, number)
    form = AddressForm(request.POST)
    typed = "good"
    if form.is_valid():
        url = form.cleaned_data["url"]
        typed = "same" if url == instance.endpoint.url else "good" if url else "empty"
    context = {"address_form": form, "endpoint": instance.endpoint, "typed": typed}
    return render(request, "instances/pages/endpoints/url_message.html", context)


class Tested(NamedTuple):
    """One simulated hook and its result; `response` is the start of the response's body."""

    hook: Hook
    shown: ShownAttempt
    response: str


@require_POST
@login_required
def try_address(request: HtmxRequest, number: int) -> HttpResponse:
    """Sends one simulated message to the URL in the field, saved or not. Waits up to 10 s for a response."""
    instance = access.changeable_instance(request, number)
    form = AddressForm(request.POST)
    context: dict[str, Any] = {"address_form": form}
    if not instance.is_paid:
        context["refusal"] = f"{capfirst(instance.why_unpaid)}: messages, hooks and simulations are stopped."
    elif instance.is_stopped:
        context["refusal"] = "This instance is stopped: messages, hooks and simulations are stopped."
    elif not form.is_valid():
        context["refusal"] = " ".join(str(error) for error in form.errors["url"])
    elif not form.cleaned_data["url"]:
        context["refusal"] = "There is no URL yet. Enter the URL where your server receives hooks."
    else:
        try:
            with manual_request_limit.place(request.user):
                context["tested"] = send_test(instance, form.cleaned_data["url"], acting_user=request.user)
        except manual_request_limit.TooMany as error:
            context["refusal"] = str(error)
    if request.htmx:
        return render(request, "instances/pages/endpoints/url_test.html", context)
    return render(request, "instances/pages/overview/overview.html", detail_context(instance, **context))


def send_test(instance: Instance, url: str, *, acting_user: Any) -> Tested:
    """Sends a contact's message, with the exact bytes of a real hook; it is kept in the log only."""
    chat = Chat(instance=instance, chat_id="17680561234@c.us", name="Webhook test")
    message = Message(
        instance=instance,
        chat=chat,
        number=instance.last_message_number,
        message_id=f"false_{chat.chat_id}_TEST",
        author=chat.chat_id,
        sender_name=chat.name,
        body=TEST_TEXT,
    )
    hook = simulate(
        instance.endpoint,
        kind=Kind.MESSAGE,
        body=payloads.message_body(message),
        to_url=url,
        message=message.message_id,
        chat=chat.chat_id,
        acting_user=acting_user,
    )
    shown = show(hook.attempts.get(), hook)
    return Tested(hook, shown, shown.response.text[:RESPONSE_SHOWN_MAX])
