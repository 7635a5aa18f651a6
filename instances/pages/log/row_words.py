"""What a row of the log shows of a hook besides its columns: the event in words, and the path of the last request.

And the cursor by which a page knows that a hook has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.db.models import OuterRef, Subquery

from hooks.models import Attempt, Hook, HookQuerySet, Kind
from instances.models import MessageType
from instances.value_parsing import parse_text

SHOWN_LENGTH = 120  # characters of a message


def with_last_url(hooks: HookQuerySet) -> HookQuerySet:
    """Returns the hooks with `last_url`, the URL of the last attempt; None without one. No query more."""
    attempts = Attempt.objects.filter(hook=OuterRef("pk")).order_by("-number", "-id")
    return hooks.annotate(last_url=Subquery(attempts.values("url")[:1]))


def describe_rows(hooks: Iterable[Hook]) -> None:
    """Sets `event` and `path` of each hook, which was read with its body, and with_last_url()."""
    for hook in hooks:
        hook.event = event_words(hook)  # type: ignore[attr-defined]
        parts = urlsplit(getattr(hook, "last_url", None) or "")
        query = f"?{parts.query}" if parts.query else ""
        hook.path = f"{parts.path}{query}"  # type: ignore[attr-defined]


def event_words(hook: Hook) -> str:
    """Returns the event of a hook: "delivered" for an ack, "Ann: an order…" for a message.

    Empty if its body says nothing of it: it is dropped, masked, or a simulated one of the user's own.
    """
    try:
        data = json.loads(bytes(hook.body))
    except (ValueError, RecursionError):
        return ""
    try:
        return parse_text(WORDS[Kind(hook.kind)](data)[:SHOWN_LENGTH])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return ""


def message_words(data: Any) -> str:
    message = data["messages"][0]
    is_text = message["type"] == MessageType.CHAT
    text = " ".join(str(message["body"]).split()) if is_text else MessageType(message["type"]).label.lower()
    return f"You: {text}" if message["fromMe"] else f"{message['senderName']}: {text}"


def ack_words(data: Any) -> str:
    return str(data["ack"][0]["status"])


def status_words(data: Any) -> str:
    return str(data["instanceStatus"][0]["new"]["accountStatus"])


def chat_words(data: Any) -> str:
    return str(data["chatUpdate"][0]["new"]["name"])


WORDS = {
    Kind.MESSAGE: message_words, Kind.ACK: ack_words, Kind.STATUS: status_words, Kind.CHAT: chat_words,
}  # fmt: skip


def live_cursor(hook: Hook) -> str:
    """Changes whenever what a page shows of the hook does."""
    return f"{hook.state}:{hook.attempts_made}"
