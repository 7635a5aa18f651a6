"""What is sent: the request of a message of each type, or of its deletion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from instances import chat_ids
from instances.channels.requests import File, Link, MessageToSend, Refused, Request
from instances.channels.waha import api, vcards
from instances.models import FILE_TYPES, MessageType

# Message type → path, and the content types of such files; None: any. Others are sent as documents.
PATHS: dict[str, tuple[str, tuple[str, ...] | None]] = {
    MessageType.IMAGE: ("sendImage", ("image/jpeg", "image/png", "image/webp")),
    MessageType.STICKER: ("sendImage", ("image/jpeg", "image/png", "image/webp")),
    MessageType.VIDEO: ("sendVideo", ("video/mp4", "video/3gpp", "video/quicktime", "video/webm")),
    MessageType.PTT: ("sendVoice", None),
    MessageType.AUDIO: ("sendFile", None),
    MessageType.DOCUMENT: ("sendFile", None),
}
# WhatsApp shows these as they are; the server converts others.
VOICE, VIDEO = "audio/ogg; codecs=opus", "video/mp4"
CONTENT_TYPES = {
    MessageType.IMAGE: "image/jpeg",
    MessageType.STICKER: "image/webp",
    MessageType.VIDEO: VIDEO,
    MessageType.PTT: VOICE,
    MessageType.AUDIO: "audio/mpeg",
}
ANY = "application/octet-stream"

NO_LOCATION = "The location is not a pair of numbers."
UNKNOWN = "WhatsApp does not have this message, or it was sent before this instance was linked."
OTHER_MESSENGER = "WhatsApp knows no such person: the chatId is one of another messenger."


def prepare(message: MessageToSend, link: Link, asked: str | None) -> Request | Refused:
    """Returns the request of the message. `asked` is the person's id at WhatsApp, if it had to be asked for."""
    if chat_ids.scheme(message.chat_id):
        return Refused(OTHER_MESSENGER)
    chat = asked or known_chat(message.chat_id, message.messenger_chat_id)
    if message.deletes:
        return deletion(message, link, chat)
    if asked is None and is_asked(message):
        return ask(link, chat_ids.phone_of(message.chat_id))
    fields = {"session": api.session_of(link), "chatId": chat, **reply_of(message, chat)}
    if message.type in FILE_TYPES:
        return file_request(message, link, fields)
    match message.type:
        case MessageType.LOCATION:
            return location(message, link, fields)
        case MessageType.VCARD:
            contacts = [{"vcard": card} for card in vcards.split(message.body)]
            return post(link, "sendContactVcard", fields, contacts=contacts)
    mentions = mentions_of(message)
    more = {"mentions": mentions} if mentions else {}
    return post(link, "sendText", fields, text=message.body, linkPreview=True, **more)


def known_chat(chat_id: str, remembered: str) -> str:
    """Returns the id of the chat at WhatsApp: what is remembered, or what the chat id says."""
    return remembered + chat_ids.PERSON if remembered.isdigit() else remembered or chat_id


def is_asked(message: MessageToSend) -> bool:
    phone = chat_ids.phone_of(message.chat_id)
    return not message.messenger_chat_id and phone.startswith(api.ASKED)


def ask(link: Link, phone: str) -> Request:
    """Returns the request that asks whether a number uses WhatsApp, and by which id."""
    query = {"phone": phone, "session": api.session_of(link)}
    return replace(api.get(link, "contacts", "check-exists", query=query), is_upload=True)


def post(link: Link, path: str, fields: dict[str, Any], **more: Any) -> Request:
    return api.request(link, "POST", path, body={**fields, **more})


def reply_of(message: MessageToSend, chat: str) -> dict[str, str]:
    """Returns the argument that quotes a message; none if WhatsApp's id of it is not known."""
    quoted = message.quoted or {}
    key = quoted.get("messenger_id")
    if not key:
        return {}
    key = api.key_of_changed(key)
    own_id = str(quoted.get("id", ""))
    author = own_id.split("_", 3)[3] if own_id.count("_") >= 3 else ""
    return {"reply_to": api.whole_id(key, chat=chat, from_me=own_id.startswith("true_"), author=author)}


def mentions_of(message: MessageToSend) -> list[str]:
    found = (message.metadata or {}).get("mentionedPhones")
    phones = found if isinstance(found, list | tuple) else [found] if isinstance(found, str) else []
    return [f"{chat_ids.bare_id(str(phone))}{chat_ids.PERSON}" for phone in phones]


def deletion(message: MessageToSend, link: Link, chat: str) -> Request | Refused:
    if not message.deletes_messenger_id:
        return Refused(UNKNOWN)
    whole = api.whole_id(message.deletes_messenger_id, chat=chat, from_me=True, author=link.own_chat_id)
    return api.request(link, "DELETE", api.session_of(link), "chats", chat, "messages", whole)


def location(message: MessageToSend, link: Link, fields: dict[str, Any]) -> Request | Refused:
    latitude, _, longitude = message.body.partition(";")
    try:
        place = {"latitude": float(latitude), "longitude": float(longitude)}
    except ValueError:
        return Refused(NO_LOCATION)
    return post(link, "sendLocation", fields, **place, title=message.caption or "")


def file_request(message: MessageToSend, link: Link, fields: dict[str, Any]) -> Request:
    """Returns the request of a message with a file.

    A stored file is in the request itself, in base64: the server may be one that cannot reach this site.
    """
    path, accepted = PATHS.get(message.type, PATHS[MessageType.DOCUMENT])
    given = message.file.content_type if message.file else CONTENT_TYPES.get(MessageType(message.type), ANY)
    if accepted and essence(given) not in accepted:
        path = "sendFile"
    described: dict[str, Any] = {"mimetype": given, "filename": filename_of(message)}
    if path == "sendVoice":
        fields |= {"convert": essence(given) != "audio/ogg"}
        described["mimetype"] = given if fields["convert"] else VOICE
    elif path == "sendVideo":
        fields |= {"convert": essence(given) != VIDEO}
    if message.caption and path != "sendVoice":
        fields |= {"caption": message.caption}
    if message.file is None:
        return post(link, path, fields, file={**described, "url": message.body})
    return with_file(post(link, path, fields, file={**described, "data": ""}), message.file)


def with_file(request: Request, file: File) -> Request:
    """Returns the request with the file as the value of `data`, which is the last one of the JSON."""
    end = b'"}}'
    assert request.body.endswith(end)
    return Request(
        request.method,
        request.url,
        request.headers,
        request.body.removesuffix(end),
        file.path,
        end,
        is_base64=True,
    )


def filename_of(message: MessageToSend) -> str:
    return message.file.filename if message.file else message.body.rpartition("/")[2].partition("?")[0][:200]


def essence(content_type: str) -> str:
    """Returns a content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()
