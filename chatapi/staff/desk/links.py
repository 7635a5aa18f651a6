"""URLs of the support desk's pages."""

from __future__ import annotations

from django.urls import reverse

from hooks.models import Hook
from instances.models import Message, OutgoingMessage

# The account's pages that the desk has in its own frame, for page_urls.page_url.
PAGE_NAMES = {
    "log:hook": "admin:customer_hook",
    "instances:turn": "admin:customer_received_message",
    "instances:message": "admin:customer_sent_message",
}


def customer_url(account_id: int, number: int | None = None) -> str:
    """The page of a customer, with the instance of this number chosen."""
    page = reverse("admin:customer", args=[account_id])
    return page if number is None else f"{page}?instance={number}"


def hook_url(hook: Hook) -> str:
    """The page of a hook."""
    return reverse("admin:customer_hook", args=[hook.public_id])


def message_url(message: Message | OutgoingMessage) -> str:
    """The page of a message; of one that neither the API nor a contact has sent, the list of its hooks.

    Without a query if the message was loaded with its instance.
    """
    number = message.instance.number
    if isinstance(message, OutgoingMessage) or message.queue_number is not None:
        return reverse("admin:customer_sent_message", args=[number, message.message_id])
    if not message.from_me:
        return reverse("admin:customer_received_message", args=[number, message.message_id])
    return hooks_of_message_url(number, message.message_id)


def hooks_of_message_url(number: int, message_id: str) -> str:
    """The list of the hooks about a message of the instance with this number."""
    return reverse("admin:hooks_hook_changelist", query={"q": f"{number} {message_id}"})
