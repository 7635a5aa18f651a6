"""Messages as the messenger reports them: received from a contact, typed on the phone, acknowledged."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from instances import chat_ids
from instances.actions import bans, events
from instances.actions.chats import chats
from instances.actions.message_lookup import UnknownMessage
from instances.models import Ack, Chat, Instance, Media, Message, MessageType


class MessageContent(TypedDict, total=False):
    """What a message says and how the messenger reports it: the optional keywords of a received or typed message.

    `media` is the file, whose link becomes the body. `quoted` is made by message_lookup.quote. `time` is the
    messenger's time, by default now. `key` is the messenger's own id of the message, if it has one: a message reported
    twice is written once, and the stored message is returned.
    """

    type: str  # of MessageType
    body: str
    caption: str | None
    quoted: Mapping[str, Any] | None
    forwarded: int
    media: Media | None
    time: datetime | None
    key: str


def body_and_file(instance: Instance, type: str, body: str, media: Media | None) -> tuple[str, Media | None]:
    """Returns the body and the file as they are stored (contract.md §3): of a file its link, of calls and of videos
    that are not uploaded a fixed text.

    Raises:
        ValueError: the type is not a MessageType.
    """
    if type not in MessageType.values:
        raise ValueError(f"type takes one of {', '.join(MessageType.values)}")
    if type == MessageType.CALL_LOG:
        return "[Call]", None
    if type == MessageType.VIDEO and not instance.video_upload_on:
        return "upload disabled", None
    return (media.link if media else body), media


def receive_message(
    instance: Instance,
    *,
    sender: str,
    sender_name: str = "",
    chat_id: str | None = None,
    **content: Unpack[MessageContent],
) -> Message:
    """Record a message that a contact wrote, with its hook.

    `sender` is a phone number or chat id. `chat_id` is the group, if the message was written in one. Without a
    `sender_name` the name in the address book is used.

    Raises:
        bans.Banned: the contact is banned, and was told so the first time.
        chat_ids.BadChatId: `sender` or `chat_id` is not valid.
        ValueError: the type is not a MessageType.
    """
    message = record_received(instance, sender=sender, sender_name=sender_name, chat_id=chat_id, **content)
    return bans.raise_if_banned(message)


@transaction.atomic
def record_received(
    instance: Instance,
    *,
    sender: str,
    sender_name: str = "",
    chat_id: str | None = None,
    type: str = MessageType.CHAT,
    body: str = "",
    caption: str | None = None,
    quoted: Mapping[str, Any] | None = None,
    forwarded: int = 0,
    media: Media | None = None,
    time: datetime | None = None,
    key: str = "",
) -> Message | None:
    """As receive_message, for a caller with a transaction of its own: returns None if the contact is banned."""
    author = chat_ids.of_phone(sender)
    where = chat_ids.of_chat(chat_id) if chat_id else author
    at = time or timezone.now()
    sender_name = sender_name[:200]
    message_id = chat_ids.message_id(where, author=author, from_me=False, key=key)
    if key and (known := find_reported(instance, message_id)):
        return known
    if bans.is_banned(instance, where):
        events.lock(instance)
        bans.notify_banned_contact(instance, where)
        return None
    body, media = body_and_file(instance, type, body, media)
    number = events.raise_counter(instance, "last_message_number")
    name = "" if chat_ids.is_group(where) else sender_name
    chat = chats.chat_for_message(instance, where, at=at, name=name, author=author)
    message = Message.objects.create(
        instance=instance,
        number=number,
        message_id=message_id,
        chat=chat,
        author=author,
        sender_name=sender_name or name_of(chat, author),
        type=type,
        body=body,
        media=media,
        caption=caption,
        forwarded=forwarded,
        quoted=dict(quoted) if quoted else None,
        time=at,
    )
    events.emit(instance, events.of_message(instance, message))
    return message


def name_of(chat: Chat, author: str) -> str:
    """Returns the author's name in the address book; empty if it has none."""
    if not chat.is_group:
        return chat.name
    names = Chat.objects.filter(instance=chat.instance_id, chat_id=author).values_list("name", flat=True)
    return names.first() or ""


def find_reported(instance: Instance, message_id: str) -> Message | None:
    """Returns the message if the messenger has reported it before. Locks the instance's row in either case."""
    events.lock(instance)
    known = Message.objects.select_related("chat").filter(instance=instance, message_id=message_id).first()
    if known is not None:
        known.instance = instance
    return known


@transaction.atomic
def type_on_phone(
    instance: Instance,
    *,
    chat_id: str,
    body: str = "",
    type: str = MessageType.CHAT,
    caption: str | None = None,
    quoted: Mapping[str, Any] | None = None,
    forwarded: int = 0,
    media: Media | None = None,
    time: datetime | None = None,
    key: str = "",
) -> Message:
    """Record a message typed on the instance's own phone (`self` 0), with its hook; its acks create no hooks.

    Keywords as in MessageContent.

    Raises:
        chat_ids.BadChatId: `chat_id` is not valid.
        ValueError: the type is not a MessageType.
    """
    where = chat_ids.of_chat(chat_id)
    at = time or timezone.now()
    message_id = chat_ids.message_id(where, author=instance.own_chat_id, from_me=True, key=key)
    if key and (known := find_reported(instance, message_id)):
        return known
    body, media = body_and_file(instance, type, body, media)
    number = events.raise_counter(instance, "last_message_number")
    message = Message.objects.create(
        instance=instance,
        number=number,
        message_id=message_id,
        chat=chats.chat_for_message(instance, where, at=at),
        author=instance.own_chat_id,
        type=type,
        body=body,
        media=media,
        caption=caption,
        forwarded=forwarded,
        quoted=dict(quoted) if quoted else None,
        from_me=True,
        ack=Ack.SENT,
        time=at,
    )
    events.emit(instance, events.of_message(instance, message), events.of_ack(instance, message, Ack.SENT))
    return message


@transaction.atomic
def record_ack(instance: Instance, *, message_id: str, status: str) -> Message:
    """Record an ack that the messenger reports: "sent", "delivered" or "viewed". A status is never lowered.

    Raises:
        UnknownMessage: the instance has sent no such message.
        ValueError: another status.
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
    record_acks(instance, [(message, ack)])
    return message


def record_acks(instance: Instance, acks: Iterable[tuple[Message, Ack]]) -> None:
    """Write these acks with their hooks, in this order, except those that would lower a status.

    The caller holds the instance's lock.
    """
    changed: dict[int, Message] = {}
    emitted = []
    for message, ack in acks:
        if ack > (message.ack or 0):
            message.instance, message.ack = instance, ack
            changed[message.pk] = message
            emitted.append(events.of_ack(instance, message, ack))
    Message.objects.bulk_update(changed.values(), ["ack"])
    events.emit(instance, *emitted)
