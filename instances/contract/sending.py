"""Sending: what is accepted into the outgoing queue (contract.md, section 2)."""

from collections.abc import Sequence
from typing import Any

from instances import actions
from instances.contract.arguments import Destination, phones, text
from instances.contract.errors import EMPTY_TEXT, NOT_AUTHENTICATED, Refused
from instances.contract.registry import method
from instances.models import Instance, OutgoingMessage


@method(
    "sendMessage",
    "POST",
    aliases=("message",),
    refusal="sent",
    arguments=(
        Destination(),
        text("body", "the message's text", default=""),
        text("quotedMsgId", "the id of a message to quote"),
        phones("mentionedPhones"),
    ),
)
def send_message(
    instance: Instance, *, chat_id: str, body: str, quoted_msg_id: str | None, mentioned_phones: Sequence[str]
) -> dict[str, Any]:
    """Sends a text. `sent` means accepted into the queue, not delivered."""
    if not body.strip():
        raise Refused(EMPTY_TEXT)
    metadata = {"mentionedPhones": list(mentioned_phones)} if mentioned_phones else None
    return accept(instance, chat_id=chat_id, body=body, quoted_id=quoted_msg_id or None, metadata=metadata)


def accept(instance: Instance, *, chat_id: str, **message: Any) -> dict[str, Any]:
    """Queues a message and makes the reply that all sends have in common; `message` as actions.send_message."""
    try:
        outgoing = actions.send_message(instance, chat_id=chat_id, **message)
    except (actions.TooLong, actions.QueueFull, actions.UnknownMessage) as error:
        raise Refused(str(error)) from None
    return reply(instance, outgoing)


def reply(instance: Instance, outgoing: OutgoingMessage) -> dict[str, Any]:
    """What a client is told of a message that the queue has taken."""
    said = f"Sent to {outgoing.chat_id}"
    if not instance.is_authenticated:
        # the two spaces are the original's
        said = f"{NOT_AUTHENTICATED}. Message to  {outgoing.chat_id} will be sent after successful auth."
    return {"sent": True, "message": said, "id": outgoing.message_id, "queueNumber": outgoing.queue_number}
