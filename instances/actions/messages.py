"""Messages as the messenger reports them: a contact writes, somebody types on the phone, ticks come back."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from instances import chat_ids
from instances.actions import bans, chats, events
from instances.models import Ack, Chat, Instance, Media, Message, MessageType


class UnknownMessage(Exception):
    """The instance has no such message; the text is a sentence for the caller."""


def quote(instance: Instance, message_id: str) -> dict[str, str]:
    """What a message keeps of the one that it quotes: `{"id","body","type"}`. Raises UnknownMessage."""
    found = Message.objects.filter(instance=instance, message_id=message_id).only("body", "type").first()
    if found is None:
        raise UnknownMessage("The message to be quoted was not found.")
    return {"id": message_id, "body": found.body, "type": found.type}


def body_of(instance: Instance, type: str, body: str, media: Media | None) -> tuple[str, Media | None]:
    """Body and file as contract.md section 3 has them: a file's link, and what is said of calls and of videos that
    are not to be uploaded."""
    if type not in MessageType.values:
        raise ValueError(f"type takes one of {', '.join(MessageType.values)}")
    if type == MessageType.CALL_LOG:
        return "[Call]", None
    if type == MessageType.VIDEO and not instance.video_upload_on:
        return "upload disabled", None
    return (media.link if media else body), media


def receive_message(instance: Instance, **message: Any) -> Message:
    """A contact has written; `message` as `take_in` has it. Raises bans.Banned, and what take_in raises."""
    return bans.raise_if_banned(take_in(instance, **message))


@transaction.atomic
def take_in(
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
    media: Media | None = None,
    time: datetime | None = None,
    key: str = "",
) -> Message | None:
    """What a contact has written; None if they are banned, and have been told so.

    `sender` is a phone number or chat id; `chat_id` the group, if it was in one; `quoted` as `quote` makes it; with
    `media` its link is the body; `time` is the messenger's, now by default. `key` is the messenger's own id of the
    message, if it has one: reported once more, nothing is written, and the message that is there is returned. Without a
    `sender_name` it is the address book's. Raises chat_ids.BadChatId, and ValueError for a type that is not a
    MessageType.
    """
    author = chat_ids.of_phone(sender)
    where = chat_ids.of_chat(chat_id) if chat_id else author
    at = time or timezone.now()
    sender_name = sender_name[:200]
    message_id = chat_ids.message_id(where, author=author, from_me=False, key=key)
    if key and (known := again(instance, message_id)):
        return known
    if bans.is_banned(instance, where):
        events.lock(instance)
        bans.turn_away(instance, where)
        return None
    body, media = body_of(instance, type, body, media)
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
    """What the address book calls somebody who writes in this chat; empty when it does not know them."""
    if not chat.is_group:
        return chat.name
    names = Chat.objects.filter(instance=chat.instance_id, chat_id=author).values_list("name", flat=True)
    return names.first() or ""


def again(instance: Instance, message_id: str) -> Message | None:
    """The message that the messenger reports once more, if it does; keeps the instance's row either way."""
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
    """Somebody has written on the instance's own phone (`self` 0): hooked, but its ticks never are.

    The keywords and what is raised are receive_message's.
    """
    where = chat_ids.of_chat(chat_id)
    at = time or timezone.now()
    message_id = chat_ids.message_id(where, author=instance.own_chat_id, from_me=True, key=key)
    if key and (known := again(instance, message_id)):
        return known
    body, media = body_of(instance, type, body, media)
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
    record_ticks(instance, [(message, ack)])
    return message


def record_ticks(instance: Instance, ticks: Iterable[tuple[Message, Ack]]) -> None:
    """Writes these ticks with their hooks, in this order, leaving out what would go back; the caller holds the lock."""
    changed: dict[int, Message] = {}
    made = []
    for message, ack in ticks:
        if ack > (message.ack or 0):
            message.instance, message.ack = instance, ack
            changed[message.pk] = message
            made.append(events.of_ack(instance, message, ack))
    Message.objects.bulk_update(changed.values(), ["ack"])
    events.emit(instance, *made)
