"""Tests an endpoint with one message, which is not stored as a message; its hook is kept in the log as simulated."""

from __future__ import annotations

from django.utils.text import capfirst

from accounts.models import User
from hooks.actions.hooks import NotPossible
from hooks.actions.simulation import simulate
from hooks.models import Endpoint, Hook, Kind
from instances import payloads
from instances.models import Chat, Instance, Message

TEXT = "This is a test of the webhook URL."
LISTENER = "chatapi listen fetches the hooks of this endpoint. Send the instance a message to test it."
CHAT_ID, NAME = "17680561234@c.us", "Webhook test"


def why_not(instance: Instance) -> str:
    """Returns why the instance's endpoints can't be tested now, as a sentence; empty if they can."""
    if not instance.is_paid:
        return f"{capfirst(instance.why_unpaid)}: messages, hooks and simulations are stopped."
    if instance.is_stopped:
        return "This instance is stopped: messages, hooks and simulations are stopped."
    return ""


def send_test(endpoint: Endpoint, *, instance: Instance, url: str, acting_user: User | None) -> Hook:
    """Send a contact's message to `url` now, with the exact bytes of a real hook and the endpoint's signature.

    Takes at most 10 s; returns the finished hook. The endpoint's filters and pause do not apply.

    Raises:
        NotPossible: see why_not(), or `chatapi listen` fetches the endpoint's hooks.
        webhook_urls.InvalidUrl: the URL is empty or not valid.
    """
    if refusal := why_not(instance):
        raise NotPossible(refusal)
    if endpoint.is_listener:
        raise NotPossible(LISTENER)
    chat = Chat(instance=instance, chat_id=CHAT_ID, name=NAME)
    message = Message(
        instance=instance,
        chat=chat,
        number=instance.last_message_number,
        message_id=f"false_{CHAT_ID}_TEST",
        author=CHAT_ID,
        sender_name=NAME,
        body=TEXT,
    )
    return simulate(
        endpoint,
        kind=Kind.MESSAGE,
        body=payloads.message_body(message),
        to_url=url,
        message=message.message_id,
        chat=CHAT_ID,
        acting_user=acting_user,
    )
