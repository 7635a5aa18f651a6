"""Forwards existing messages to another chat, and deletes messages for everyone. Both go through the queue."""

from collections.abc import Sequence

from django.db import transaction

from instances import chat_ids
from instances.actions.media import extend_expiry
from instances.actions.message_lookup import find_message
from instances.actions.sending.accept import send_message
from instances.media.kinds import WrongFile
from instances.models import FILE_TYPES, Instance, Media, Message, MessageType, OutgoingMessage

MAX_FORWARDED = 100  # messages of one call


class CannotForward(Exception):
    """The message cannot be forwarded. The text is a sentence for the caller."""


class CannotDelete(Exception):
    """The instance cannot delete the message. The text is a sentence for the caller."""


@transaction.atomic
def forward_messages(
    instance: Instance, *, chat_id: str, message_ids: Sequence[str]
) -> list[OutgoingMessage]:
    """Put copies of these messages in the queue, in this order, all of them or none.

    Each copy counts how often it was forwarded; its file is kept for another 30 days.

    Raises:
        chat_ids.BadChatId, QueueFull, UnknownMessage, CannotForward
    """
    if len(message_ids) > MAX_FORWARDED:
        raise CannotForward(f"At most {MAX_FORWARDED} messages are forwarded at once.")
    where = chat_ids.of_chat(chat_id)
    originals = [find_message(instance, message_id) for message_id in message_ids]
    files = [file_of(original) for original in originals]
    return [
        send_message(
            instance,
            chat_id=where,
            body=original.body,
            type=original.type,
            caption=original.caption,
            metadata={
                key: value for key, value in (original.metadata or {}).items() if key != "mentionedPhones"
            },
            media=media,
            forwarded=min(original.forwarded + 1, 32_767),
            forwards=original.message_id,
        )
        for original, media in zip(originals, files, strict=True)
    ]


def file_of(original: Message | OutgoingMessage) -> Media | None:
    """Returns the file of the copy. Raises CannotForward if the message, or its file, cannot be forwarded."""
    if isinstance(original, Message) and original.deleted_at:
        raise CannotForward(f"The message {original.message_id} has been deleted.")
    if original.type == MessageType.CALL_LOG:
        raise CannotForward("A missed call can't be forwarded.")
    if original.media is None and original.type in FILE_TYPES:
        raise CannotForward(f"The file of the message {original.message_id} is no longer kept.")
    try:
        return extend_expiry(original.media) if original.media else None
    except WrongFile:
        raise CannotForward(f"The file of the message {original.message_id} is no longer kept.") from None


@transaction.atomic
def delete_message(instance: Instance, *, message_id: str, chat_id: str | None = None) -> OutgoingMessage:
    """Put the deletion of an own message for everyone in the queue. `deleted_at` is set when it is carried out.

    `chat_id`, if given, must be the message's chat.

    Raises:
        UnknownMessage, CannotDelete, QueueFull
    """
    found = find_message(instance, message_id)
    where = found.chat.chat_id if isinstance(found, Message) else found.chat_id
    if isinstance(found, Message) and not found.from_me:
        raise CannotDelete(
            "Only your own messages can be deleted for everyone, and this one is your contact's."
        )
    if isinstance(found, Message) and found.deleted_at:
        raise CannotDelete(f"The message was deleted already, at {found.deleted_at:%F %T} UTC.")
    if isinstance(found, Message) and found.type == MessageType.CALL_LOG:
        raise CannotDelete("A missed call can't be deleted.")
    if chat_id is not None and chat_ids.of_chat(chat_id) != where:
        raise CannotDelete(f"The message is not in the chat {chat_id} but in {where}.")
    return send_message(instance, chat_id=where, body="", deletes=message_id)
