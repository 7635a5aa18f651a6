"""What a callback of WhatsApp reports: messages of every type, statuses, and what is typed in WhatsApp's own app."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from instances import chat_ids
from instances.channels.contents import Content, text, time_of
from instances.channels.requests import Link
from instances.channels.whatsapp_cloud import vcards
from instances.channels.whatsapp_cloud.callbacks import changes_of, number_of
from instances.channels.whatsapp_cloud.errors import sentence_of
from instances.channels.whatsapp_cloud.graph import objects
from instances.models import AccountStatus, Ack, MessageType
from instances.received_events import (
    ChatMoved,
    Media,
    MessageAcked,
    MessageFailed,
    ReceivedEvent,
    StatusReported,
)

Object = Mapping[str, Any]

ACKS = {"sent": Ack.SENT, "delivered": Ack.DELIVERED, "read": Ack.VIEWED, "played": Ack.VIEWED}
FILES = {
    "image": MessageType.IMAGE,
    "video": MessageType.VIDEO,
    "audio": MessageType.AUDIO,
    "document": MessageType.DOCUMENT,
    "sticker": MessageType.STICKER,
}
FORWARDED_OFTEN = 5
# How the ids of this product's messages begin, which WhatsApp returns with their statuses. By WhatsApp's id alone, the
# status of a message that another program sent would wait while any message of the instance is being sent.
OWN_TRACKER = "true_"
# The ban state of account_update → the status of the instance
BANS = {"DISABLE": AccountStatus.INIT, "REINSTATE": AccountStatus.AUTHENTICATED}
HEX_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


def read(link: Link, body: Object) -> list[ReceivedEvent]:
    """Returns the events of a callback that are about this number, or about its whole business account."""
    events: list[ReceivedEvent] = []
    for field, value in changes_of(dict(body)):
        if number_of(value) in ("", link.external_id):
            events += read_change(field, value)
    return events


def read_change(field: str, value: Object) -> Iterator[ReceivedEvent]:
    match field:
        case "messages":
            names = names_of(value)
            for message in objects(value, "messages"):
                yield from read_message(message, names)
            for status in objects(value, "statuses"):
                yield from read_status(status)
        case "smb_message_echoes":
            for message in objects(value, "message_echoes"):
                yield from read_echo(message)
        case "account_update":
            ban = value.get("ban_info")
            state = ban.get("waba_ban_state") if isinstance(ban, Mapping) else None
            if account_status := BANS.get(str(state)):
                yield StatusReported(account_status)


def names_of(value: Object) -> dict[str, str]:
    """Returns the names of people by their numbers and other ids."""
    names: dict[str, str] = {}
    for contact in objects(value, "contacts"):
        profile = contact.get("profile")
        name = profile.get("name") if isinstance(profile, Mapping) else None
        for key in ("wa_id", "user_id"):
            if contact.get(key) and isinstance(name, str):
                names[str(contact[key])] = name
    return names


def read_message(message: Object, names: Mapping[str, str]) -> Iterator[ReceivedEvent]:
    """Returns a contact's message. What the contract has no message for gives no event."""
    who = str(message.get("from") or message.get("from_user_id") or "")
    if message.get("type") == "system":
        yield from read_system(message, who)
        return
    content = content_of(message)
    if content is None:
        return
    group = message.get("group_id")
    yield replace(content, forwarded=forwarded_of(message)).received(
        key=text(message.get("id")),
        sender=chat_id_of(who),
        sender_name=names.get(who, ""),
        chat_id=chat_id_of(str(group), is_group=True) if group else None,
        time=time_of(message.get("timestamp")),
    )


def read_echo(message: Object) -> Iterator[ReceivedEvent]:
    """Returns a message that the account's user wrote in the WhatsApp Business app."""
    content = content_of(message)
    to = str(message.get("to") or message.get("to_user_id") or "")
    if content is not None:
        when = time_of(message.get("timestamp"))
        found = replace(content, forwarded=forwarded_of(message))
        yield found.typed(key=text(message.get("id")), chat_id=chat_id_of(to), time=when)


def read_status(status: Object) -> Iterator[ReceivedEvent]:
    """Returns the ack or the failure of a message that was sent here, or through the same number elsewhere."""
    wamid, word = text(status.get("id")), status.get("status")
    if word == "failed":
        errors = objects(status, "errors")
        yield MessageFailed(messenger_id=wamid, reason=sentence_of(errors[0] if errors else {}))
    elif ack := ACKS.get(str(word)):
        tracker = text(status.get("biz_opaque_callback_data"))
        is_own = tracker.startswith(OWN_TRACKER)
        yield MessageAcked(tracker, ack) if is_own else MessageAcked(messenger_id=wamid, ack=ack)


def read_system(message: Object, who: str) -> Iterator[ReceivedEvent]:
    """Returns that a person has another number now. Other notices give no event."""
    system = objects({"one": [message.get("system")]}, "one")
    found = (system[0].get("wa_id") or system[0].get("new_wa_id")) if system else None
    if found and who and str(found) != who:
        yield ChatMoved(old_chat_id=chat_id_of(who), messenger_chat_id=str(found))


def content_of(message: Object) -> Content | None:
    """Returns what the message contains; None if it is nothing that people see."""
    kind = text(message.get("type"))
    inner = message.get(kind)
    found: Object = inner if isinstance(inner, Mapping) else {}
    quoted = context_of(message)
    match kind:
        case "text":
            return Content(body=text(found.get("body")), quoted=quoted)
        case _ if kind in FILES:
            return file_content(kind, found, quoted)
        case "location":
            place = ", ".join(filter(None, (text(found.get("name")), text(found.get("address")))))
            body = f"{found.get('latitude')};{found.get('longitude')}"
            return Content(MessageType.LOCATION, body, place or None, quoted=quoted)
        case "contacts":
            return Content(MessageType.VCARD, vcards.of_contacts(objects(message, "contacts")), quoted=quoted)
        case "reaction":
            emoji = text(found.get("emoji"))
            return Content(body=emoji, quoted=text(found.get("message_id"))) if emoji else None
        case "button":
            return Content(body=text(found.get("text")), quoted=quoted)
        case "interactive":
            return Content(body=choice_of(found), quoted=quoted)
        case "order":
            return Content(body=order_of(found), quoted=quoted)
        case "edit":
            return edited(found)
        case "revoke" | "request_welcome" | "ephemeral":
            return None
    errors = objects(message, "errors")
    reason = f" {sentence_of(errors[0])}" if errors else ""
    return Content(
        body=f"[A message of a type that the Cloud API does not show: {kind}.{reason}]", quoted=quoted
    )


def file_content(kind: str, found: Object, quoted: str) -> Content:
    type = FILES[kind]
    if kind == "audio" and found.get("voice") is True:
        type = MessageType.PTT
    media = Media(
        reference=text(found.get("id")),
        content_type=text(found.get("mime_type")),
        filename=text(found.get("filename")),
        sha256=digest_of(text(found.get("sha256"))),
    )
    # A link instead of an id is not fetched: the Cloud API gives every file an id.
    has_id = bool(media.reference)
    return Content(
        type, text(found.get("link")), text(found.get("caption")) or None, media if has_id else None, quoted
    )


def edited(found: Object) -> Content | None:
    """Returns a changed message as a new one, which quotes the old."""
    message = found.get("message")
    content = content_of(message) if isinstance(message, Mapping) else None
    if content is None:
        return None
    quoted = text(found.get("original_message_id"))
    return Content(content.type, content.body, content.caption, content.media, quoted)


def choice_of(found: Object) -> str:
    """Returns the text of the button or the row that a person chose, or the form that they filled in."""
    for key in ("button_reply", "list_reply"):
        if isinstance(reply := found.get(key), Mapping):
            return text(reply.get("title"))
    if isinstance(reply := found.get("nfm_reply"), Mapping):
        return text(reply.get("body")) or text(reply.get("response_json"))
    return ""


def order_of(found: Object) -> str:
    """Returns an order as text: a line for each product."""
    lines = [text(found.get("text"))]
    for item in objects(found, "product_items"):
        price = f"{item.get('item_price', '')} {item.get('currency', '')}".strip()
        lines.append(f"{item.get('quantity', 1)} × {item.get('product_retailer_id', '')} {price}".strip())
    return "\n".join(filter(None, lines))


def context_of(message: Object) -> str:
    context = message.get("context")
    return text(context.get("id")) if isinstance(context, Mapping) else ""


def forwarded_of(message: Object) -> int:
    context = message.get("context")
    if not isinstance(context, Mapping):
        return 0
    return FORWARDED_OFTEN if context.get("frequently_forwarded") else int(bool(context.get("forwarded")))


def chat_id_of(native: str, *, is_group: bool = False) -> str:
    """Returns the chat id of a number, or of a person or group without one."""
    if native.isascii() and native.isdigit():
        return native + (chat_ids.GROUP if is_group else chat_ids.PERSON)
    try:
        return chat_ids.of_native("user", native, is_group=is_group)
    except chat_ids.BadChatId:
        return native  # this event is refused when it is recorded, and the others are not


def digest_of(given: str) -> str:
    """Returns a SHA-256 in hexadecimal, which WhatsApp also writes in base64; empty if it is neither."""
    if HEX_DIGEST.fullmatch(given):
        return given.lower()
    try:
        digest = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return digest.hex() if len(digest) == 32 else ""


def read_body(link: Link, raw: bytes) -> Sequence[ReceivedEvent]:
    """Returns the events of a stored callback. Raises ValueError if it is not JSON."""
    found = json.loads(raw)
    return read(link, found) if isinstance(found, Mapping) else []
