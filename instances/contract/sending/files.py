"""Sends files (contract.md §2): by URL, as a data: URI, or from a multipart form.

The file is stored before the message is accepted. A URL is fetched during the call, so that the reply can say what is
wrong with it. No transaction is open meanwhile.
"""

from collections.abc import Sequence
from typing import Any

from django.core.files.uploadedfile import UploadedFile

from instances.actions.media import store_given_media
from instances.actions.message_lookup import UnknownMessage
from instances.actions.sending.accept import QueueFull, check_can_send
from instances.contract.arguments import Destination, flag, text
from instances.contract.errors import CallFailed
from instances.contract.registry import method
from instances.contract.sending.messages import QUOTED, accept, mentions
from instances.contract.sending.send_arguments import file
from instances.media.kinds import WrongFile, choose_message_type
from instances.media.sources import name_in_url
from instances.models import Instance, Media, MessageType

FILENAME_REQUIRED = "`filename` is required: the name of the file, such as photo.jpg."


@method(
    "sendFile",
    "POST",
    failure_key="sent",
    accepts_files=True,
    arguments=(
        Destination(),
        file("body"),
        text("filename", "the file's name, such as photo.jpg; optional for a form's file", default=""),
        text("caption", "a text below the file"),
        flag("cached", "reuse the file fetched from this URL under this name within the last hour"),
        *QUOTED,
    ),
)
def send_file(
    instance: Instance,
    *,
    chat_id: str,
    body: UploadedFile | str,
    filename: str,
    caption: str | None,
    cached: bool,
    quoted_msg_id: str | None,
    mentioned_phones: Sequence[str],
) -> dict[str, Any]:
    """Sends a file. Its name, then its content type, decide what it is: image, video, audio, sticker or document.

    A document without a caption gets its file name as the caption, so that its receiver can read what it is.
    """
    filename = filename.strip() or upload_name(body)
    if not filename:
        raise CallFailed(FILENAME_REQUIRED)
    media = store(instance, body, filename=filename, cached=cached, quoted_id=quoted_msg_id or None)
    return accept(
        instance,
        chat_id=chat_id,
        body=media.link,
        type=choose_message_type(media.content_type),
        caption=caption or None,
        media=media,
        quoted_id=quoted_msg_id or None,
        metadata=mentions(mentioned_phones),
    )


@method(
    "sendPTT",
    "POST",
    aliases=("sendAudio",),
    failure_key="sent",
    accepts_files=True,
    arguments=(Destination(), file("audio"), *QUOTED),
)
def send_ptt(
    instance: Instance,
    *,
    chat_id: str,
    audio: UploadedFile | str,
    quoted_msg_id: str | None,
    mentioned_phones: Sequence[str],
) -> dict[str, Any]:
    """Sends a voice message: the URL of an Ogg file with Opus, or data:audio/ogg;base64,…."""
    filename = upload_name(audio) or name_in_url(audio) or "voice"
    media = store(instance, audio, filename=filename, only="audio", quoted_id=quoted_msg_id or None)
    return accept(
        instance,
        chat_id=chat_id,
        body=media.link,
        type=MessageType.PTT,
        media=media,
        quoted_id=quoted_msg_id or None,
        metadata=mentions(mentioned_phones),
    )


def upload_name(given: UploadedFile | str) -> str:
    return str(given.name or "") if isinstance(given, UploadedFile) else ""


def store(
    instance: Instance,
    given: UploadedFile | str,
    *,
    filename: str,
    quoted_id: str | None = None,
    cached: bool = False,
    only: str = "",
) -> Media:
    """Stores the file, after checking that the message itself can be accepted. Raises CallFailed."""
    try:
        check_can_send(instance, quoted_id=quoted_id)
        return store_given_media(instance, given, filename=filename, cached=cached, only=only)
    except (QueueFull, UnknownMessage) as error:
        raise CallFailed(str(error)) from None
    except WrongFile as error:
        raise CallFailed(f"File was not sent: {error}") from None
