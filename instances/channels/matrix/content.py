"""The content of the events that messages become."""

from __future__ import annotations

from typing import Any

from instances.channels.requests import MessageToSend
from instances.models import MessageType

MSGTYPES = {
    MessageType.IMAGE: "m.image",
    MessageType.VIDEO: "m.video",
    MessageType.AUDIO: "m.audio",
    MessageType.PTT: "m.audio",
    MessageType.DOCUMENT: "m.file",
}
VOICE = "org.matrix.msc3245.voice"  # clients show an audio file with it as a voice message


def event_type(message: MessageToSend) -> str:
    return "m.sticker" if message.type == MessageType.STICKER and message.file else "m.room.message"


def content_of(message: MessageToSend, uploaded: str | None) -> dict[str, Any]:
    """Returns the content of the event. `uploaded` is the mxc URI of the message's file."""
    content = content_of_type(message, uploaded)
    if message.quoted and (event := message.quoted.get("messenger_id")):
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": event}}
    return content


def content_of_type(message: MessageToSend, uploaded: str | None) -> dict[str, Any]:
    if message.file is not None:
        return content_of_file(message, uploaded or "")
    if message.type == MessageType.LOCATION:
        latitude, _, longitude = message.body.partition(";")
        geo = f"geo:{latitude.strip()},{longitude.strip()}"
        return {"msgtype": "m.location", "body": message.caption or f"Location {geo}", "geo_uri": geo}
    # A file that is not stored here is a link.
    return {"msgtype": "m.text", "body": "\n".join(filter(None, (message.body, message.caption)))}


def content_of_file(message: MessageToSend, uploaded: str) -> dict[str, Any]:
    """Returns the content of an uploaded file. With a caption, `body` is the caption and `filename` the name."""
    file = message.file
    assert file is not None
    content: dict[str, Any] = {
        "body": message.caption or file.filename,
        "url": uploaded,
        "info": {"mimetype": file.content_type, "size": file.size},
    }
    if message.type == MessageType.STICKER:
        return content
    content |= {"msgtype": MSGTYPES[MessageType(message.type)], "filename": file.filename}
    if message.type == MessageType.PTT:
        content[VOICE] = {}
    return content
