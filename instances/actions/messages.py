"""Messages as the messenger reports them: received from a contact, typed on the phone, acknowledged."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, TypedDict, Unpack

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from hooks.sql import bulk_insert
from instances import chat_ids, message_numbers
from instances.actions import bans, events
from instances.actions.chats import chats
from instances.actions.media import file_caption
from instances.actions.message_lookup import UnknownMessage, find_sent, sent_with_messenger_id
from instances.actions.record_at_once import NO_CONDITION, Condition, record_at_once
from instances.models import Ack, Chat, Instance, Media, Message, MessageType

MAX_FAILURE = 1_000  # characters


class MessageContent(TypedDict, total=False):
    """What a message contains: the optional keywords of a received or typed message.

    `media` is the file, whose link becomes the body. `quoted` is made by message_lookup.quote. `time` is the
    messenger's time, by default now.
    """

    type: str  # of MessageType
    body: str
    caption: str | None
    quoted: Mapping[str, Any] | None
    forwarded: int
    media: Media | None
    time: datetime | None


def receive_message(
    instance: Instance,
    *,
    sender: str,
    sender_name: str = "",
    chat_id: str | None = None,
    chat_name: str = "",
    key: str = "",
    **content: Unpack[MessageContent],
) -> Message:
    """Record a message that a contact wrote, with its hook.

    `sender` is a phone number or chat id. `chat_id` is the group, if the message was written in one, and `chat_name`
    its name, if it is known. Without a `sender_name` the name in the address book is used. `key` is the messenger's own
    id of the message, if it has one: a message reported twice is written once, and the stored message is returned.

    Call it outside a transaction: Banned must not roll back the preBanMessage.

    Raises:
        bans.Banned: the contact is banned; they got the preBanMessage the first time.
        chat_ids.BadChatId: `sender` or `chat_id` is not valid.
        ValueError: the type is not a MessageType.
    """
    author = chat_ids.of_phone(sender)
    reported = where = chat_ids.of_chat(chat_id) if chat_id else author
    if key:
        where = remembered_chat(instance, reported)
        author = author if chat_id else where
    message_id = chat_ids.message_id(where, author=author, from_me=False, key=key)
    message = new_message(
        instance,
        message_id=message_id,
        messenger_id=key,
        chat_id=where,
        author=author,
        author_name=sender_name[:200],
        group_name=chats.clean_name(chat_name),
        **content,
    )
    if not key and receive_at_once(message):
        return message
    with transaction.atomic():
        if key and (known := find_reported(instance, message_id, key, {where, reported})):
            return known
        if not bans.notify_if_banned(instance, where):
            return record(message)
    raise bans.Banned(
        "The sender's number fits banPhoneMask, so nothing that they write reaches the instance."
    )


def receive_at_once(message: Message, condition: Condition = NO_CONDITION) -> bool:
    """Record a received message in one statement. Returns False, and writes nothing, if this is not the usual case."""
    return not bans.is_banned(message.instance, message.chat.chat_id) and record_at_once(message, condition)


@transaction.atomic
def type_on_phone(
    instance: Instance, *, chat_id: str, key: str = "", **content: Unpack[MessageContent]
) -> Message:
    """Record a message typed on the instance's own phone (`self` 0), with its hook; its acks create no hooks.

    `key` as in receive_message.

    Raises:
        chat_ids.BadChatId: `chat_id` is not valid.
        ValueError: the type is not a MessageType.
    """
    own = instance.own_chat_id
    reported = where = chat_ids.of_chat(chat_id)
    if key:
        where = remembered_chat(instance, reported)
    message_id = chat_ids.message_id(where, author=own, from_me=True, key=key)
    if key and (known := find_reported(instance, message_id, key, {where, reported})):
        return known
    return record(
        new_message(
            instance,
            message_id=message_id,
            messenger_id=key,
            chat_id=where,
            author=own,
            from_me=True,
            **content,
        )
    )


def remembered_chat(instance: Instance, chat_id: str) -> str:
    """Returns the chat that the messenger means by this chat id: another one if it calls that one so. One query."""
    named = Chat.objects.filter(
        instance=instance,
        messenger_chat_id__in=chat_ids.names_at_messenger(chat_id),
        is_group=chat_ids.is_group(chat_id),
    )
    found: str | None = named.in_order().values_list("chat_id", flat=True).first()
    return found if found and chat_ids.scheme(found) == chat_ids.scheme(chat_id) else chat_id


def current_chat(instance: Instance, chat_id: str) -> str | None:
    """Returns the chat that the messenger calls so now; None for the former id of one that moved. Two queries."""
    found = remembered_chat(instance, chat_id)
    if found != chat_id:
        return found
    still = ["", *chat_ids.names_at_messenger(chat_id)]
    moved = Chat.objects.filter(instance=instance, chat_id=chat_id).exclude(messenger_chat_id__in=still)
    return None if moved.exists() else chat_id


def find_reported(instance: Instance, message_id: str, key: str, chats: Collection[str]) -> Message | None:
    """Returns the message if the messenger has reported it before, or if the account has sent it by this product.

    By the messenger's id too, in these chats: what the messenger calls a chat may have been remembered in between.
    Locks the instance's row in either case.
    """
    events.lock(instance)
    is_known = Q(message_id=message_id)
    if messenger_id := chat_ids.storable_messenger_id(key):
        is_known |= Q(messenger_id=messenger_id)
    for known in Message.objects.select_related("chat").filter(is_known, instance=instance):
        if known.message_id == message_id or known.chat.chat_id in chats:
            known.instance = instance
            return known
    return None


def new_message(
    instance: Instance,
    *,
    message_id: str,
    messenger_id: str = "",
    chat_id: str,
    author: str,
    author_name: str = "",
    group_name: str = "",
    from_me: bool = False,
    type: str = MessageType.CHAT,
    body: str = "",
    caption: str | None = None,
    quoted: Mapping[str, Any] | None = None,
    forwarded: int = 0,
    media: Media | None = None,
    time: datetime | None = None,
) -> Message:
    """Returns a message without its number. Its chat is not loaded, and has the name that the message brings."""
    at = time or timezone.now()
    body, media = stored_body(instance, type, body, media)
    chat_name = group_name if chat_ids.is_group(chat_id) else author_name
    return Message(
        instance=instance,
        message_id=message_id,
        messenger_id=chat_ids.storable_messenger_id(messenger_id),
        chat=Chat(instance=instance, chat_id=chat_id, name=chat_name),
        author=author,
        sender_name="" if from_me else author_name,
        type=type,
        body=body,
        media=media,
        caption=file_caption(type, caption, body=body, media=media),
        forwarded=forwarded,
        quoted=dict(quoted) if quoted else None,
        from_me=from_me,
        ack=Ack.SENT if from_me else None,
        time=at,
    )


def record(message: Message) -> Message:
    """Write the message with its number, chat and hooks, in the caller's transaction. Seven statements."""
    instance, from_me = message.instance, message.from_me
    message.number = message_numbers.lock(instance) + 1
    message.chat = chats.chat_for_message(
        instance,
        message.chat.chat_id,
        at=message.time,
        name=message.chat.name,
        author="" if from_me else message.author,
        author_name=message.sender_name,
    )
    message.chat_last_time, message.chat_unread = message.chat.exact()
    if not from_me and not message.sender_name:
        message.sender_name = address_book_name(message.chat, message.author)
    bulk_insert.insert([message])
    acks = [events.of_ack(instance, message, Ack.SENT)] if from_me else []
    events.emit(instance, events.of_message(instance, message), *acks)
    return message


def stored_body(instance: Instance, type: str, body: str, media: Media | None) -> tuple[str, Media | None]:
    """Returns the body and the file as they are stored (contract.md §3).

    The body of a file is its link. Calls, and videos that are not uploaded, have a fixed text and no file.

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


def address_book_name(chat: Chat, author: str) -> str:
    """Returns the author's name in the address book; empty if it has none."""
    if not chat.is_group:
        return chat.name
    names = Chat.objects.filter(instance=chat.instance_id, chat_id=author).values_list("name", flat=True)
    return names.first() or ""


@transaction.atomic
def record_ack(
    instance: Instance, *, message_id: str = "", messenger_id: str = "", status: str, chat_id: str = ""
) -> Message:
    """Record an ack that the messenger reports: "sent", "delivered" or "viewed". A status is never lowered.

    The message is named by its id, or by the messenger's, and is in this chat, if one is given.

    Raises:
        UnknownMessage: the instance has sent no such message.
        ValueError: another status.
    """
    ack = Ack.of_status(status)
    events.lock(instance)
    if message_id:
        message = find_sent(instance, message_id)
    else:
        message = sent_with_messenger_id(instance, messenger_id)
    raise_if_elsewhere(message, chat_id)
    record_acks(instance, [(message, ack)])
    return message


def raise_if_elsewhere(message: Message, chat_id: str) -> None:
    """Raises UnknownMessage if a chat is given, and the message is in another one. At most one query."""
    if chat_id and message.chat.chat_id not in (chat_id, remembered_chat(message.instance, chat_id)):
        raise UnknownMessage("The instance has sent no such message to this chat.")


@transaction.atomic
def record_failure(instance: Instance, *, messenger_id: str, reason: str, chat_id: str = "") -> Message:
    """Record that a message which the messenger had accepted did not arrive. `reason` is in the messenger's words.

    The message is in this chat, if one is given. It stays as it is if it was delivered or read, or if it has failed
    before.

    Raises UnknownMessage: the instance has sent no such message.
    """
    events.lock(instance)
    message = sent_with_messenger_id(instance, messenger_id)
    raise_if_elsewhere(message, chat_id)
    if message.failed_at is None and (message.ack or 0) < Ack.DELIVERED:
        message.failure, message.failed_at = reason.replace("\x00", "")[:MAX_FAILURE], timezone.now()
        message.save(update_fields=["failure", "failed_at"])
    return message


@transaction.atomic
def record_moved_chat(instance: Instance, *, chat_id: str, messenger_chat_id: str) -> None:
    """Remember what the messenger calls a chat from now on. Without such a chat, nothing changes.

    If the messenger has reported the new name first, as a group that the account is in, that chat has no messages and
    is taken from the list of dialogs: what is written there belongs to this one.

    Raises:
        chat_ids.BadChatId: `chat_id` is not valid.
        ValueError: `messenger_chat_id` is no id.
    """
    events.lock(instance)
    where = chat_ids.of_chat(chat_id)
    new = chat_ids.storable_messenger_id(messenger_chat_id)
    if not new:
        raise ValueError("a chat cannot be moved to this id")
    new = "" if new == chat_ids.bare_id(where) else new
    is_known = Chat.objects.filter(instance=instance, chat_id=where).update(messenger_chat_id=new)
    if is_known and new and chat_ids.scheme(where):
        moved_to = chat_ids.of_native(chat_ids.scheme(where), new, is_group=chat_ids.is_group(where))
        double = Chat.objects.filter(instance=instance, chat_id=moved_to, removed_at=None)
        double.filter(~Exists(Message.objects.filter(chat=OuterRef("pk")))).update(removed_at=timezone.now())


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
