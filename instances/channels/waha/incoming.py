"""What an event of WAHA reports: messages, acks, reactions, calls, groups, and the status of the session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from instances.channels.contents import Content, text, time_of
from instances.channels.waha import api, group_events, sessions, vcards
from instances.models import Ack, MessageType
from instances.received_events import (
    Media,
    MessageAcked,
    MessageFailed,
    MessageReceived,
    ReceivedEvent,
)

Object = Mapping[str, Any]

ACKS = {1: Ack.SENT, 2: Ack.DELIVERED, 3: Ack.VIEWED, 4: Ack.VIEWED}
ERROR = -1
FAILED = "WhatsApp reports that the message was not sent."
# The first part of a content type → message type.
KINDS = {"image": MessageType.IMAGE, "video": MessageType.VIDEO, "audio": MessageType.AUDIO}
NO_FILE = "no-file:"  # a reference to a file that WAHA does not have; then why, if it says so


def read(event: Object) -> Iterator[ReceivedEvent]:
    """Returns what an event reports. What is of no interest, and an unknown event, gives nothing."""
    payload = event.get("payload")
    if not isinstance(payload, Mapping):
        return
    match event.get("event"):
        case "message" | "message.any":
            yield from read_message(payload)
        case "message.edited":
            yield from read_edit(payload)
        case "message.reaction":
            yield from read_reaction(payload)
        case "message.ack" | "message.ack.group":
            yield from read_ack(payload)
        case "call.received":
            yield from read_call(payload)
        case "group.v2.join" | "group.v2.leave" | "group.v2.participants" | "group.v2.update":
            yield from group_events.read(event, payload)
        case "session.status":
            yield from sessions.read_event(event, payload)


def read_message(payload: Object) -> Iterator[ReceivedEvent]:
    yield from message(payload, content_of(payload), key=api.message_key(payload.get("id")))


def message(payload: Object, content: Content, *, key: str) -> Iterator[ReceivedEvent]:
    """Returns a contact's message, or one that the user has typed in an app. Those sent by the API are known."""
    if not key:
        return
    if payload.get("fromMe") is True:
        if payload.get("source") == "app":
            chat = api.chat_id_of(payload.get("to"))
            yield content.typed(key=key, chat_id=chat, time=time_of(payload.get("timestamp")))
        return
    where, author = api.chat_id_of(payload.get("from")), api.chat_id_of(payload.get("participant"))
    yield content.received(
        key=key,
        sender=author or where,
        sender_name=name_in(payload),
        chat_id=where if author else None,
        time=time_of(payload.get("timestamp")),
    )


def read_edit(payload: Object) -> Iterator[ReceivedEvent]:
    """Returns a changed message as a new one, which quotes the old."""
    old = api.message_key(payload.get("editedMessageId"))
    content = content_of(payload)
    key = api.message_key(payload.get("id"))
    if key == old:  # some engines give the change no id of its own
        key = f"{old}-{payload.get('timestamp')}"
    yield from message(payload, Content(content.type, content.body, quoted=old), key=key)


def read_reaction(payload: Object) -> Iterator[ReceivedEvent]:
    """Returns a reaction as a message that quotes the other; its removal gives no event."""
    reaction = payload.get("reaction")
    if isinstance(reaction, Mapping) and (emoji := text(reaction.get("text"))):
        quoted = api.message_key(reaction.get("messageId"))
        yield from message(
            payload, Content(body=emoji, quoted=quoted), key=api.message_key(payload.get("id"))
        )


def read_ack(payload: Object) -> Iterator[ReceivedEvent]:
    """Returns the ack or the failure of a message of this account."""
    key, ack = api.message_key(payload.get("id")), payload.get("ack")
    if payload.get("fromMe") is not True or not key or not isinstance(ack, int):
        return
    if ack == ERROR:
        yield MessageFailed(messenger_id=key, reason=FAILED)
    elif ack in ACKS:
        yield MessageAcked(messenger_id=key, ack=ACKS[ack], may_be_sending=key.startswith(api.NOT_OF_A_PHONE))


def read_call(payload: Object) -> Iterator[ReceivedEvent]:
    """Returns a call as a missed one: nothing here can accept it.

    WAHA's `call.accepted` and `call.rejected` come later, or, by its engine and version, not for each call.
    """
    caller, key = api.chat_id_of(payload.get("from")), text(payload.get("id"))
    if caller and key:
        yield MessageReceived(
            key=key,
            sender=caller,
            type=MessageType.CALL_LOG,
            body="[Call]",
            time=time_of(payload.get("timestamp")),
        )


def content_of(payload: Object) -> Content:
    quoted, forwarded = quoted_in(payload), int(bool(raw(payload).get("isForwarded")))
    body = text(payload.get("body"))
    if payload.get("hasMedia") is True:
        return file_content(payload, body, quoted, forwarded)
    if isinstance(place := payload.get("location"), Mapping):
        name = ", ".join(filter(None, (text(place.get(key)) for key in ("name", "address"))))
        where = f"{place.get('latitude')};{place.get('longitude')}"
        caption = name or text(place.get("description")) or None
        return Content(MessageType.LOCATION, where, caption, quoted=quoted, forwarded=forwarded)
    cards = payload.get("vCards")
    if isinstance(cards, list) and cards:
        return Content(MessageType.VCARD, vcards.join(cards), quoted=quoted, forwarded=forwarded)
    return Content(body=body, quoted=quoted, forwarded=forwarded)


def file_content(payload: Object, body: str, quoted: str, forwarded: int) -> Content:
    """Returns a message with a file, which WAHA has unless it is configured not to download files."""
    found = payload.get("media")
    media: Object = found if isinstance(found, Mapping) else {}
    content_type = text(media.get("mimetype"))
    url = text(media.get("url"))
    why = media.get("error")
    reference = (
        url or f"{NO_FILE}{text(why) or (text(why.get('message')) if isinstance(why, Mapping) else '')}"
    )
    file = Media(reference, content_type, text(media.get("filename")))
    type = type_of(content_type, payload)
    return Content(type, body=url, caption=body or None, media=file, quoted=quoted, forwarded=forwarded)


def type_of(content_type: str, payload: Object) -> str:
    """Returns the message type of a file. Voice messages and stickers are known by what the engine adds."""
    kind = text(raw(payload).get("type"))
    essence = content_type.partition(";")[0].strip().lower()
    if kind == "sticker" or essence == "image/webp":
        return MessageType.STICKER
    if kind == "ptt" or essence == "audio/ogg":
        return MessageType.PTT
    if kind == "document":
        return MessageType.DOCUMENT
    return KINDS.get(essence.partition("/")[0], MessageType.DOCUMENT)


def raw(payload: Object) -> Object:
    """Returns what the engine adds, in its own form."""
    found = payload.get("_data")
    return found if isinstance(found, Mapping) else {}


def name_in(payload: Object) -> str:
    """Returns the name that the sender has given to the account; empty if the engine does not tell it."""
    found = raw(payload)
    info = found.get("Info")
    inner = info.get("PushName") if isinstance(info, Mapping) else None
    return next(filter(None, map(text, (found.get("notifyName"), found.get("pushName"), inner))), "")


def quoted_in(payload: Object) -> str:
    found = payload.get("replyTo")
    return api.message_key(found.get("id")) if isinstance(found, Mapping) else ""
