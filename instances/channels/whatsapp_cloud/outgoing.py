"""What a message of the queue is as a request to the Cloud API, and what the response means."""

from __future__ import annotations

from typing import Any

from hooks.http import Response
from instances import chat_ids
from instances.channels.multipart import with_form
from instances.channels.requests import (
    Failed,
    File,
    Link,
    MessageToSend,
    Prepared,
    Refused,
    Request,
    Result,
    Sent,
    Uploaded,
)
from instances.channels.responses import json_object
from instances.channels.whatsapp_cloud import graph, vcards
from instances.channels.whatsapp_cloud.errors import read_error
from instances.models import FILE_TYPES, MessageType

MAX_TEXT, MAX_CAPTION = 4096, 1024  # characters
MAX_TRACKER = 512  # characters of biz_opaque_callback_data
NO_CONFIRMATION = "WhatsApp's response does not confirm the message."

# Message type → its name at WhatsApp, and the content types of such files. Others are sent as documents.
KINDS: dict[str, tuple[str, frozenset[str]]] = {
    MessageType.IMAGE: ("image", frozenset({"image/jpeg", "image/png"})),
    MessageType.VIDEO: ("video", frozenset({"video/mp4", "video/3gpp"})),
    MessageType.AUDIO: (
        "audio",
        frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"}),
    ),
    MessageType.PTT: (
        "audio",
        frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"}),
    ),
    MessageType.STICKER: ("sticker", frozenset({"image/webp"})),
    MessageType.DOCUMENT: ("document", frozenset()),
}


def prepare(message: MessageToSend, link: Link, uploaded: str | None) -> Prepared:
    """Returns the request of a message; before it, if it has a stored file, that of the upload."""
    if message.file is not None and message.type in FILE_TYPES and uploaded is None:
        return upload(message.file, link)
    body = content_of(message, uploaded)
    if isinstance(body, Refused):
        return body
    quoted = (message.quoted or {}).get("messenger_id")
    fields: dict[str, Any] = {
        "messaging_product": "whatsapp",
        **recipient_of(message),
        **({"context": {"message_id": quoted}} if quoted else {}),
        **(
            {"biz_opaque_callback_data": message.message_id} if len(message.message_id) <= MAX_TRACKER else {}
        ),
        **body,
    }
    return graph.post(link, link.external_id, "messages", body=fields)


def upload(file: File, link: Link) -> Request:
    request = Request(
        "POST", graph.url_of(link, link.external_id, "media"), graph.authorization(link), is_upload=True
    )
    fields = {"messaging_product": "whatsapp", "type": file.content_type}
    return with_form(request, fields, file_field="file", file=file)


def recipient_of(message: MessageToSend) -> dict[str, str]:
    """Returns who gets the message: a number, a person known by another id, or a group."""
    native = chat_ids.native_of(message.chat_id)
    own_id = message.messenger_chat_id or (native[1] if native else message.chat_id.partition("@")[0])
    if chat_ids.is_group(message.chat_id):
        return {"recipient_type": "group", "to": own_id}
    is_number = own_id.isascii() and own_id.isdigit()
    return {"recipient_type": "individual", ("to" if is_number else "recipient"): own_id}


def content_of(message: MessageToSend, uploaded: str | None) -> dict[str, Any] | Refused:
    """Returns the type and its object."""
    if template := (message.metadata or {}).get("template"):
        return {"type": "template", "template": template}
    match message.type:
        case _ if message.type in FILE_TYPES:
            return file_content(message, uploaded)
        case MessageType.LOCATION:
            return location_content(message)
        case MessageType.VCARD:
            return {"type": "contacts", "contacts": vcards.to_contacts(message.body)}
    if len(message.body) > MAX_TEXT:
        return Refused(
            f"WhatsApp takes texts of up to {MAX_TEXT:,} characters; this one has {len(message.body):,}."
        )
    has_link = "http://" in message.body or "https://" in message.body
    return {"type": "text", "text": {"body": message.body, "preview_url": has_link}}


def file_content(message: MessageToSend, uploaded: str | None) -> dict[str, Any]:
    file = message.file
    kind, accepted = KINDS.get(message.type, KINDS[MessageType.DOCUMENT])
    if file is not None and kind != "document" and file.content_type not in accepted:
        is_picture = file.content_type in KINDS[MessageType.IMAGE][1]
        kind = "image" if is_picture and message.type == MessageType.STICKER else "document"
    content: dict[str, Any] = {"link": message.body} if file is None else {"id": uploaded}
    if kind == "document" and file is not None:
        content["filename"] = file.filename
    if message.caption and kind in ("image", "video", "document"):
        content["caption"] = message.caption[:MAX_CAPTION]
    if message.type == MessageType.PTT and kind == "audio" and (file is None or "ogg" in file.content_type):
        content["voice"] = True
    return {"type": kind, kind: content}


def location_content(message: MessageToSend) -> dict[str, Any] | Refused:
    latitude, _, longitude = message.body.partition(";")
    try:
        location: dict[str, Any] = {"latitude": float(latitude), "longitude": float(longitude)}
    except ValueError:
        return Refused("The location is not a pair of numbers.")
    if message.caption:
        location |= {"name": message.caption[:MAX_CAPTION], "address": message.caption[:MAX_CAPTION]}
    return {"type": "location", "location": location}


def read(request: Request, response: Response) -> Result:
    """Returns what the response means. A 200 is a success only with an id: "accepted", not "delivered"."""
    if not 200 <= (response.status or 0) < 300:
        return read_error(response)
    found = json_object(response)
    if request.is_upload:
        media_id = found.get("id")
        return Uploaded(media_id) if isinstance(media_id, str) and media_id else Failed(NO_CONFIRMATION)
    messages = graph.objects(found, "messages")
    wamid = messages[0].get("id") if messages else None
    if not isinstance(wamid, str) or not wamid:
        return Failed(NO_CONFIRMATION)
    return Sent(messenger_id=wamid, messenger_chat_id=other_id(found))


def other_id(found: dict[str, Any]) -> str:
    """Returns WhatsApp's id of the recipient if it is not the number that was asked, as in Brazil; otherwise ""."""
    contacts = graph.objects(found, "contacts")
    given, wa_id = (contacts[0].get("input"), contacts[0].get("wa_id")) if contacts else (None, None)
    if not isinstance(given, str) or not isinstance(wa_id, str) or not wa_id.isdigit():
        return ""
    asked = "".join(character for character in given if character.isdigit())
    return wa_id if wa_id != asked and given.lstrip("+").isdigit() else ""
