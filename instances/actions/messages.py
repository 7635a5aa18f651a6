"""Messages as the messenger reports them: a contact writes, somebody types on the phone, ticks come back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from instances import chat_ids
from instances.actions import chats, events
from instances.models import Ack, Instance, Message, MessageType


class UnknownMessage(Exception):
    """The instance has no such message; the text is a sentence for the caller."""


def quote(instance: Instance, message_id: str) -> dict[str, str]:
    """What a message keeps of the one that it quotes: `{"id","body","type"}`. Raises UnknownMessage."""
    found = Message.objects.filter(instance=instance, message_id=message_id).only("body", "type").first()
    if found is None:
        raise UnknownMessage("The message to be quoted was not found.")
    return {"id": message_id, "body": found.body, "type": found.type}


def body_of(instance: Instance, type: str, body: str) -> str:
    """`body` as contract.md section 3 has it for calls and for videos that are not to be uploaded."""
    if type not in MessageType.values:
        raise ValueError(f"type takes one of {', '.join(MessageType.values)}")
    if type == MessageType.CALL_LOG:
        return "[Call]"
    if type == MessageType.VIDEO and not instance.video_upload_on:
        return "upload disabled"
    return body


@transaction.atomic
def receive_message(
    instance: Instance,
    *,
    sender: str,
    sender_name: str = "",
    type: str = MessageType.CHAT,
    body: str = "",
    caption: str | None = None,
    chat_id: str | None = None,
    quoted: Mapping[str, Any] | None = None,
    forwarded: int = 0,
    time: datetime | None = None,
) -> Message:
    """A contact has written. `sender` is a phone number or chat id; `chat_id` the group, if it was in one.

    `quoted` as `quote` makes it; `time` is the messenger's, now by default. Raises chat_ids.BadChatId, and
    ValueError for a type that is not a MessageType.
    """
    author = chat_ids.of_phone(sender)
    where = chat_ids.of_chat(chat_id) if chat_id else author
    at = time or timezone.now()
    sender_name = sender_name[:200]
    number = events.raise_counter(instance, "last_message_number")
    chat = chats.touch(instance, where, at=at, name="" if chat_ids.is_group(where) else sender_name)
    message = Message.objects.create(
        instance=instance,
        number=number,
        message_id=chat_ids.message_id(where, author=author, from_me=False),
        chat=chat,
        author=author,
        sender_name=sender_name,
        type=type,
        body=body_of(instance, type, body),
        caption=caption,
        forwarded=forwarded,
        quoted=dict(quoted) if quoted else None,
        time=at,
    )
    events.emit(instance, events.of_message(instance, message))
    return message


class NotLinked(Exception):
    """No messenger is linked, so nobody's message reaches the instance; the text is a sentence for the caller."""


@transaction.atomic
def write_as_contact(instance: Instance, **message: Any) -> Message:
    """A contact of the sandbox writes to the instance, if that is linked; `message` as receive_message takes it.

    Raises NotLinked, and what receive_message raises.
    """
    events.lock(instance)
    if not instance.is_authenticated:
        raise NotLinked(
            f"The instance is not authenticated ({instance.account_status}), so no message reaches it."
        )
    return receive_message(instance, **message)


@transaction.atomic
def type_on_phone(
    instance: Instance, *, chat_id: str, body: str, type: str = MessageType.CHAT, time: datetime | None = None
) -> Message:
    """Somebody has written on the instance's own phone (`self` 0): hooked, but its ticks never are."""
    where = chat_ids.of_chat(chat_id)
    at = time or timezone.now()
    number = events.raise_counter(instance, "last_message_number")
    message = Message.objects.create(
        instance=instance,
        number=number,
        message_id=chat_ids.message_id(where, author=instance.own_chat_id, from_me=True),
        chat=chats.touch(instance, where, at=at),
        author=instance.own_chat_id,
        type=type,
        body=body_of(instance, type, body),
        from_me=True,
        ack=Ack.SENT,
        time=at,
    )
    events.emit(instance, events.of_message(instance, message), events.of_ack(instance, message, Ack.SENT))
    return message


@transaction.atomic
def record_ack(instance: Instance, *, message_id: str, status: str) -> Message:
    """The messenger reports a tick: "sent", "delivered" or "viewed". A status never goes back.

    Raises UnknownMessage if the instance has sent no such message, ValueError for another status.
    """
    try:
        ack = {ack.label: ack for ack in Ack}[status]
    except KeyError:
        raise ValueError(f"status takes one of {', '.join(Ack.labels)}") from None
    events.lock(instance)
    message = (
        Message.objects.select_related("chat")
        .filter(instance=instance, message_id=message_id, from_me=True)
        .first()
    )
    if message is None:
        raise UnknownMessage("The instance has sent no message with this id.")
    message.instance = instance
    if ack > (message.ack or 0):
        message.ack = ack
        message.save(update_fields=["ack"])
        events.emit(instance, events.of_ack(instance, message, ack))
    return message
