"""What is sent: the request of a message of each type, or why Telegram has no such message."""

from __future__ import annotations

import json
import re
from typing import Any

from instances.channels.multipart import with_form
from instances.channels.requests import File, Link, MessageToSend, Refused, Request
from instances.channels.telegram import api
from instances.channels.telegram.vcards import contact_of
from instances.models import MessageType

MAX_FILE, MAX_PHOTO = 50 * 1024**2, 10 * 1024**2  # bytes of an upload

KINDS: dict[str, str] = {
    MessageType.IMAGE: "photo",
    MessageType.PTT: "voice",
    MessageType.AUDIO: "audio",
    MessageType.VIDEO: "video",
    MessageType.STICKER: "sticker",
    MessageType.DOCUMENT: "document",
}
# What Telegram shows as such; another file is sent as a document, which it shows as it is.
CONTENT_TYPES = {
    "photo": ("image/jpeg", "image/png", "image/webp"),
    "voice": ("audio/ogg", "audio/mpeg", "audio/mp4", "audio/x-m4a"),
    "audio": ("audio/mpeg", "audio/mp4", "audio/x-m4a"),
    "video": ("video/mp4",),
    "sticker": ("image/webp", "video/webm"),
}
LOCATION = re.compile(r"\s*(-?[0-9.]+)\s*;\s*(-?[0-9.]+)\s*")

NO_NUMBERS = (
    "A Telegram bot cannot write to a phone number. Use the chatId of someone who has written to the bot, "
    "such as telegram:123456789@c.us."
)
TOO_LARGE = "Telegram takes files of up to 50 MB from bots."
NO_LOCATION = "The message is no location: its body is not latitude;longitude."
NO_CONTACT = "Telegram takes a contact with a phone number only, and this vCard has none."
UNKNOWN = "Telegram does not have this message, or it was sent before this instance was linked."
NO_CALL = "A missed call cannot be sent."


def prepare(message: MessageToSend, link: Link) -> Request | Refused:
    """Returns the request that sends or deletes the message, with its file if it has one."""
    chat = message.messenger_chat_id or api.native_chat(message.chat_id)
    if not chat:
        return Refused(NO_NUMBERS)
    if message.deletes:
        name = api.name_of(message.deletes_messenger_id, api.bot_of(link))
        if name is None:
            return Refused(UNKNOWN)
        return api.call(link, "deleteMessage", {"chat_id": chat, "message_id": name.number})
    if name := api.forwardable(message.forwards_messenger_id, api.bot_of(link)):
        source = {"from_chat_id": name.chat, "message_id": name.number}
        return api.call(link, "forwardMessage", {"chat_id": chat, **source})
    to = {"chat_id": chat, **reply_of(message, chat, api.bot_of(link))}
    match message.type:
        case MessageType.CHAT:
            return api.call(link, "sendMessage", {**to, "text": message.body})
        case MessageType.LOCATION:
            return location(message, link, to)
        case MessageType.VCARD:
            contact = contact_of(message.body)
            return api.call(link, "sendContact", {**to, **contact}) if contact else Refused(NO_CONTACT)
        case MessageType.CALL_LOG:
            return Refused(NO_CALL)
    return file_request(message, link, to)


def reply_of(message: MessageToSend, chat: str, bot: str) -> dict[str, Any]:
    """Returns the argument that quotes a message; none if the bot does not have that message."""
    name = api.name_of((message.quoted or {}).get("messenger_id") or "", bot)
    if name is None:
        return {}
    reply: dict[str, Any] = {"message_id": name.number, "allow_sending_without_reply": True}
    if name.chat not in ("", chat):
        reply["chat_id"] = name.chat
    return {"reply_parameters": reply}


def location(message: MessageToSend, link: Link, to: dict[str, Any]) -> Request | Refused:
    """Returns the request of a location; with an address it is a venue, whose title is the address's first line."""
    found = LOCATION.fullmatch(message.body)
    if found is None:
        return Refused(NO_LOCATION)
    place = {**to, "latitude": found[1], "longitude": found[2]}
    if not (address := (message.caption or "").strip()):
        return api.call(link, "sendLocation", place)
    title, _, rest = address.partition("\n")
    return api.call(link, "sendVenue", {**place, "title": title[:200], "address": rest.strip() or title})


def file_request(message: MessageToSend, link: Link, to: dict[str, Any]) -> Request | Refused:
    """Returns the request of a message with a file: a form with the stored file, or its URL for Telegram to fetch."""
    file, kind = message.file, KINDS[message.type]
    if file is not None:
        if file.size > MAX_FILE:
            return Refused(TOO_LARGE)
        kind = kind_of(kind, file)
    if message.caption and kind != "sticker":
        to = {**to, "caption": message.caption}
    method = f"send{kind.capitalize()}"
    if file is None:
        return api.call(link, method, {**to, kind: message.body})
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in to.items()}
    request = Request("POST", api.url(api.token_of(link), method))
    return with_form(request, fields, file_field=kind, file=file)


def kind_of(kind: str, file: File) -> str:
    """Returns how Telegram can show this file: as the kind, or as a document."""
    content_type = file.content_type.partition(";")[0].strip().lower()
    if content_type not in CONTENT_TYPES.get(kind, (content_type,)):
        return "document"
    return "document" if kind == "photo" and file.size > MAX_PHOTO else kind
