"""Sending files (contract.md, section 2): by address, as a data: URI, or in a multipart form.

The file is there before the message is accepted: an address is fetched within the call, so that the client is told
at once what is wrong with it. No transaction is open meanwhile.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.files.uploadedfile import UploadedFile

from instances.actions.media import take_media
from instances.actions.message_lookup import UnknownMessage
from instances.actions.sending.accept import QueueFull, check_room
from instances.contract.arguments import Destination, flag, text
from instances.contract.errors import Refused
from instances.contract.registry import method
from instances.contract.sending.messages import QUOTED, accept, mentions
from instances.contract.sending.send_arguments import content
from instances.media.kinds import WrongFile, choose_message_type
from instances.media.sources import is_http_url
from instances.models import Instance, Media, MessageType

NO_NAME = "filename is missing: it takes the name that the file is to have, such as photo.jpg"


@method(
    "sendFile",
    "POST",
    refusal="sent",
    large=True,
    arguments=(
        Destination(),
        content("body"),
        text(
            "filename", "the file's name, such as photo.jpg; of a form's file it may be left out", default=""
        ),
        text("caption", "a text below the file"),
        flag("cached", "send what was fetched from this address under this name within the last hour"),
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
    """Sends a file. What it is (a picture, a video, audio, a sticker, else a document) its name says, then its type.

    A document without a caption has its file name for one, so that its receiver reads what it is.
    """
    filename = filename.strip() or upload_name(body)
    if not filename:
        raise Refused(NO_NAME)
    media = take(instance, body, filename=filename, cached=cached, quoted_id=quoted_msg_id or None)
    kind = choose_message_type(media.content_type)
    if kind == MessageType.DOCUMENT and not caption:
        caption = media.filename
    return accept(
        instance,
        chat_id=chat_id,
        body=media.link,
        type=kind,
        caption=caption or None,
        media=media,
        quoted_id=quoted_msg_id or None,
        metadata=mentions(mentioned_phones),
    )


@method(
    "sendPTT",
    "POST",
    aliases=("sendAudio",),
    refusal="sent",
    large=True,
    arguments=(Destination(), content("audio"), *QUOTED),
)
def send_ptt(
    instance: Instance,
    *,
    chat_id: str,
    audio: UploadedFile | str,
    quoted_msg_id: str | None,
    mentioned_phones: Sequence[str],
) -> dict[str, Any]:
    """Sends a voice message: Ogg with Opus by its address, or data:audio/ogg;base64,…."""
    filename = upload_name(audio) or name_of(audio) or "voice"
    media = take(instance, audio, filename=filename, only="audio", quoted_id=quoted_msg_id or None)
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


def name_of(address: UploadedFile | str) -> str:
    """The last part of an address's path, if it ends in an extension."""
    if not is_http_url(address):
        return ""
    name = unquote(urlsplit(str(address)).path.rpartition("/")[2])
    return name if "." in name else ""


def take(
    instance: Instance,
    given: UploadedFile | str,
    *,
    filename: str,
    quoted_id: str | None = None,
    cached: bool = False,
    only: str = "",
) -> Media:
    """The file, kept; after a look at what would have the message refused anyway. Raises Refused."""
    try:
        check_room(instance, quoted_id=quoted_id)
        return take_media(instance, given, filename=filename, cached=cached, only=only)
    except (QueueFull, UnknownMessage) as error:
        raise Refused(str(error)) from None
    except WrongFile as error:
        raise Refused(f"File was not sent: {error}") from None
