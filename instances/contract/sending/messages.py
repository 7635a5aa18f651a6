"""Sending: what is accepted into the outgoing queue, and the reply that all sends have (contract.md, section 2)."""

from collections.abc import Sequence
from typing import Any

from instances.actions.message_lookup import UnknownMessage
from instances.actions.sending import accept as accept_actions
from instances.actions.sending.accept import QueueFull, TooLong
from instances.channels import channel_of
from instances.channels.base import Can
from instances.contract.arguments import Argument, Destination, phones, text
from instances.contract.errors import EMPTY_TEXT, NOT_AUTHENTICATED, Refused
from instances.contract.registry import method
from instances.models import Instance, MessageType, OutgoingMessage

QUOTED: tuple[Argument, ...] = (
    text("quotedMsgId", "the id of a message to quote"),
    phones("mentionedPhones"),
)


@method(
    "sendMessage",
    "POST",
    aliases=("message",),
    refusal="sent",
    arguments=(Destination(), text("body", "the message's text", default=""), *QUOTED),
)
def send_message(
    instance: Instance, *, chat_id: str, body: str, quoted_msg_id: str | None, mentioned_phones: Sequence[str]
) -> dict[str, Any]:
    """Sends a text. `sent` means accepted into the queue, not delivered."""
    if not body.strip():
        raise Refused(EMPTY_TEXT)
    return accept(
        instance,
        chat_id=chat_id,
        body=body,
        quoted_id=quoted_msg_id or None,
        metadata=mentions(mentioned_phones),
    )


def mentions(phones: Sequence[str]) -> dict[str, Any] | None:
    """`metadata` of a message that mentions people."""
    return {"mentionedPhones": list(phones)} if phones else None


def accept(
    instance: Instance,
    *,
    chat_id: str,
    type: str = MessageType.CHAT,
    quoted_id: str | None = None,
    **message: Any,
) -> dict[str, Any]:
    """Queues a message and makes the reply that all sends have in common; `message` as actions.send_message."""
    check_channel(instance, type, *([Can.QUOTE] if quoted_id else []))
    try:
        outgoing = accept_actions.send_message(
            instance, chat_id=chat_id, type=type, quoted_id=quoted_id, **message
        )
    except (TooLong, QueueFull, UnknownMessage) as error:
        raise Refused(str(error)) from None
    return reply(instance, outgoing)


def check_channel(instance: Instance, *wanted: str) -> None:
    """Raises Refused with the channel's own sentence when its messenger can't do what is wanted."""
    cannot = channel_of(instance).cannot
    for each in wanted:
        if each in cannot:
            raise Refused(cannot[each])


def reply(instance: Instance, outgoing: OutgoingMessage) -> dict[str, Any]:
    """What a client is told of a message that the queue has taken. A deletion's id is that of what it deletes."""
    said = f"Sent to {outgoing.chat_id}"
    if not instance.is_authenticated:
        # the two spaces are the original's
        said = f"{NOT_AUTHENTICATED}. Message to  {outgoing.chat_id} will be sent after successful auth."
    return {
        "sent": True,
        "message": said,
        "id": outgoing.deletes or outgoing.message_id,
        "queueNumber": outgoing.queue_number,
    }
