"""The kinds of messages that Sending Messages offers: icon, method of the wire contract, form fields, message type."""

from typing import NamedTuple

from django.db import models

from instances.models import MessageType


class MessageKind(models.TextChoices):
    """The kinds of messages that can be chosen."""

    TEXT = "text", "Text"
    FILE = "file", "File"
    LINK = "link", "Link"
    LOCATION = "location", "Location"
    CONTACT = "contact", "Contact"
    VOICE = "voice", "Voice"


class KindDetails(NamedTuple):
    """`message_type`: the type the channel must be able to send."""

    icon: str
    method: str
    fields: tuple[str, ...]
    message_type: MessageType


KINDS: dict[str, KindDetails] = {
    MessageKind.TEXT: KindDetails("message-circle", "sendMessage", ("text",), MessageType.CHAT),
    MessageKind.FILE: KindDetails("file", "sendFile", ("file", "file_url", "caption"), MessageType.DOCUMENT),
    MessageKind.LINK: KindDetails(
        "link", "sendLink", ("link", "title", "description", "picture"), MessageType.CHAT
    ),
    MessageKind.LOCATION: KindDetails(
        "map-pin", "sendLocation", ("lat", "lng", "address"), MessageType.LOCATION
    ),
    MessageKind.CONTACT: KindDetails("address-book", "sendContact", ("contacts",), MessageType.VCARD),
    MessageKind.VOICE: KindDetails("microphone", "sendPTT", ("voice", "voice_url"), MessageType.PTT),
}
