"""The test of an endpoint's URL: one simulated message, sent at once, and its result."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.utils.text import capfirst

from hooks.actions.simulation import simulate
from hooks.models import Endpoint, Hook, Kind
from instances import payloads
from instances.models import Chat, Instance, Message
from instances.pages import manual_request_limit
from instances.pages.forms import AddressForm
from instances.pages.log.attempts import ShownAttempt, show

TEST_TEXT = "This is a test of the webhook URL."
RESPONSE_SHOWN_MAX = 500  # characters


class Tested(NamedTuple):
    """One simulated hook and its result; `response` is the start of the response's body."""

    hook: Hook
    shown: ShownAttempt
    response: str


def try_url(instance: Instance, endpoint: Endpoint, form: AddressForm, user: Any) -> dict[str, Any]:
    """Sends a test to the URL in the form, saved or not; waits up to 10 s for a response.

    Returns the context of url_test.html: the result, or why nothing was sent.
    """
    context: dict[str, Any] = {}
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
            with manual_request_limit.place(user):
                context["tested"] = send_test(instance, endpoint, form.cleaned_data["url"], acting_user=user)
        except manual_request_limit.TooMany as error:
            context["refusal"] = str(error)
    return context


def send_test(instance: Instance, endpoint: Endpoint, url: str, *, acting_user: Any) -> Tested:
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
        endpoint,
        kind=Kind.MESSAGE,
        body=payloads.message_body(message),
        to_url=url,
        message=message.message_id,
        chat=chat.chat_id,
        acting_user=acting_user,
    )
    shown = show(hook.attempts.get(), hook)
    return Tested(hook, shown, shown.response.text[:RESPONSE_SHOWN_MAX])
