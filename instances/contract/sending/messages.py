"""sendMessage, and the reply that all send methods share (contract.md §2)."""

from collections.abc import Mapping, Sequence
from typing import Any

from instances.actions.message_lookup import UnknownMessage
from instances.actions.sending import accept as accept_actions
from instances.actions.sending.accept import QueueFull, TooLong
from instances.actions.sending.accept_at_once import accept_text
from instances.channels import CHANNELS, channel_of
from instances.channels.base import Can
from instances.contract.arguments import Argument, Destination, phones, text
from instances.contract.errors import EMPTY_TEXT, NOT_AUTHENTICATED, CallFailed
from instances.contract.registry import method
from instances.models import Instance, Media, MessageType, OutgoingMessage

QUOTED: tuple[Argument, ...] = (
    text("quotedMsgId", "the id of a message to quote"),
    phones("mentionedPhones"),
)


def send_message_at_once(
    number: int,
    token_digest: str,
    *,
    chat_id: str,
    body: str,
    quoted_msg_id: str | None,
    mentioned_phones: Sequence[str],
) -> dict[str, Any] | None:
    """Sends a text as send_message does, in one statement. Returns None if that is not possible."""
    if not body.strip() or quoted_msg_id or mentioned_phones:
        return None
    channels = [name for name, channel in CHANNELS.items() if MessageType.CHAT not in channel.cannot]
    try:
        accepted = accept_text(
            number=number, token_digest=token_digest, channels=channels, chat_id=chat_id, body=body
        )
    except TooLong:
        return None
    return None if accepted is None else sent(*accepted)


@method(
    "sendMessage",
    "POST",
    aliases=("message",),
    failure_key="sent",
    arguments=(Destination(), text("body", "the message's text", default=""), *QUOTED),
    at_once=send_message_at_once,
)
def send_message(
    instance: Instance, *, chat_id: str, body: str, quoted_msg_id: str | None, mentioned_phones: Sequence[str]
) -> dict[str, Any]:
    """Sends a text. `sent` means that it was accepted into the queue, not that it was delivered."""
    if not body.strip():
        raise CallFailed(EMPTY_TEXT)
    return accept(
        instance,
        chat_id=chat_id,
        body=body,
        quoted_id=quoted_msg_id or None,
        metadata=mentions(mentioned_phones),
    )


def mentions(phones: Sequence[str]) -> dict[str, Any] | None:
    """The `metadata` of a message that mentions people. None without mentions."""
    return {"mentionedPhones": list(phones)} if phones else None


def accept(
    instance: Instance,
    *,
    chat_id: str,
    type: str = MessageType.CHAT,
    quoted_id: str | None = None,
    body: str = "",
    caption: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    media: Media | None = None,
) -> dict[str, Any]:
    """Queues a message and returns the reply that all send methods share. Arguments as in accept.send_message."""
    check_channel(instance, type, *([Can.QUOTE] if quoted_id else []))
    try:
        outgoing = accept_actions.send_message(
            instance,
            chat_id=chat_id,
            type=type,
            quoted_id=quoted_id,
            body=body,
            caption=caption,
            metadata=metadata,
            media=media,
        )
    except (TooLong, QueueFull, UnknownMessage) as error:
        raise CallFailed(str(error)) from None
    return reply(instance, outgoing)


def check_channel(instance: Instance, *features: str) -> None:
    """Raises CallFailed with the channel's sentence if its messenger does not support one of these features."""
    cannot = channel_of(instance).cannot
    for feature in features:
        if feature in cannot:
            raise CallFailed(cannot[feature])


def reply(instance: Instance, outgoing: OutgoingMessage) -> dict[str, Any]:
    """The reply for a message that was queued. The id of a deletion is that of the message it deletes."""
    id = outgoing.deletes or outgoing.message_id
    found = sent(outgoing.chat_id, id, outgoing.queue_number)
    if not instance.is_authenticated:
        # The two spaces are the original's.
        found["message"] = (
            f"{NOT_AUTHENTICATED}. Message to  {outgoing.chat_id} will be sent after successful auth."
        )
    return found


def sent(chat_id: str, id: str, queue_number: int) -> dict[str, Any]:
    """The reply for a message of an authenticated instance."""
    return {"sent": True, "message": f"Sent to {chat_id}", "id": id, "queueNumber": queue_number}
