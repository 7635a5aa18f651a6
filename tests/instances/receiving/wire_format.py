"""The events of the test messengers as JSON, which their channels read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from instances.models import Ack
from instances.received_events import (
    ChatMoved,
    Media,
    MessageAcked,
    MessageFailed,
    MessageReceived,
    MessageTyped,
    ReceivedEvent,
    StatusReported,
)


def read_event(event: dict[str, Any]) -> ReceivedEvent:
    """Returns the event. Raises KeyError for an unknown kind."""
    fields = dict(event)
    kind = fields.pop("kind")
    if kind == "ack":
        return MessageAcked(ack=Ack.of_status(fields.pop("status")), **fields)
    kinds: dict[str, Any] = {
        "message": MessageReceived,
        "typed": MessageTyped,
        "failed": MessageFailed,
        "moved": ChatMoved,
        "status": StatusReported,
    }
    if "media" in fields:
        fields["media"] = Media(**fields["media"])
    made: ReceivedEvent = kinds[kind](**fields)
    return made


def read_events(found: Iterable[dict[str, Any]]) -> list[ReceivedEvent]:
    return [read_event(event) for event in found]


def message(number: int, *, sender: str = "17680561234", **more: Any) -> dict[str, Any]:
    """A contact's message with this number as its body and its key."""
    return {"kind": "message", "key": f"message {number}", "sender": sender, "body": str(number), **more}
