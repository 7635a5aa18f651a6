"""Converts a valid MessageForm to the content of a message; stores its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.files.uploadedfile import UploadedFile

from instances.actions.media import extend_expiry, store_given_media
from instances.actions.message_lookup import UnknownMessage, quote
from instances.actions.messages import MessageContent
from instances.contract.sending.contacts_and_locations import vcard_of
from instances.media.kinds import WrongFile
from instances.models import Instance, Media, Message, MessageType
from testing_tools.phone.message_kinds import FILE_RULES, MessageKind


def message_content(instance: Instance, cleaned: Mapping[str, Any]) -> MessageContent:
    """Returns the content of the message that the form's cleaned data describes. No transaction may be open.

    Raises:
        UnknownMessage: the quoted or forwarded message does not exist or cannot be forwarded.
        WrongFile: the file was rejected.
    """
    if cleaned["forward"]:
        return forwarded_content(instance, cleaned["forward"])
    content = written_content(instance, cleaned)
    content["quoted"] = quote(instance, cleaned["quoted"]) if cleaned["quoted"] else None
    content["forwarded"] = int(cleaned["forwarded"])
    return content


def forwarded_content(instance: Instance, message_id: str) -> MessageContent:
    message = (
        Message.objects.select_related("media")
        .filter(instance=instance, message_id=message_id, deleted_at=None)
        .first()
    )
    if message is None:
        raise UnknownMessage("The message to forward was not found.")
    if message.type == MessageType.CALL_LOG:
        raise UnknownMessage("A missed call cannot be forwarded.")
    return {
        "type": message.type,
        "body": message.body,
        "caption": message.caption,
        "media": extend_expiry(message.media) if message.media else None,
        "forwarded": message.forwarded + 1,
    }


def written_content(instance: Instance, cleaned: Mapping[str, Any]) -> MessageContent:
    kind, text = cleaned["kind"], cleaned["text"].strip()
    match kind:
        case MessageKind.TEXT:
            return {"type": MessageType.CHAT, "body": cleaned["text"]}
        case MessageKind.CALL:
            return {"type": MessageType.CALL_LOG}
        case MessageKind.LOCATION:
            return {
                "type": MessageType.LOCATION,
                "body": f"{cleaned['lat']};{cleaned['lng']}",
                "caption": text or None,
            }
        case MessageKind.CARD:
            card = vcard_of(cleaned["card_phone"], cleaned["card_name"])
            return {"type": MessageType.VCARD, "body": card}
    media = store_file(instance, kind, cleaned["file"])
    return {"type": FILE_RULES[kind].type, "media": media, "caption": text or None}


def store_file(instance: Instance, kind: MessageKind, upload: UploadedFile | None) -> Media | None:
    """Returns the stored file, a sample if none was chosen; None for a video without a file if videoUploadOn is off.

    Raises WrongFile.
    """
    rule = FILE_RULES[kind]
    if upload is None:
        if rule.sample is None:
            if not instance.video_upload_on:
                return None
            raise WrongFile("Choose a video: videoUploadOn is on, so the instance receives the file.")
        upload = rule.sample.as_upload()
    if kind == MessageKind.VIDEO and not (upload.content_type or "").startswith("video/"):
        raise WrongFile(f"The file must be a video; its type is {upload.content_type or 'unknown'}.")
    # store_given_media checks these two families only.
    only = rule.family if rule.family in ("image", "audio") else ""
    try:
        return store_given_media(instance, upload, filename=upload.name or "file", only=only)
    except WrongFile as error:
        raise WrongFile(f"The file was rejected: {error}") from None
