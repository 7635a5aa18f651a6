"""The kinds of hooks that can be simulated, in the groups of the page."""

from __future__ import annotations

from django.db import models

from hooks.models import Kind
from instances.models import Ack


class SimulationKind(models.TextChoices):
    """A kind of simulated hook, with its label on the page."""

    MESSAGE = "message", "A new message has been received"
    DELIVERED = "delivered", "Delivered"
    VIEWED = "viewed", "Read"
    SENT = "sent", "Sent"
    GROUP = "group", "In a group"
    QUOTED = "quoted", "With a quote"
    FORWARDED = "forwarded", "Forwarded"
    IMAGE = "image", "Image"
    PTT = "ptt", "Voice"
    DOCUMENT = "document", "Document"
    AUDIO = "audio", "Audio"
    VIDEO = "video", "Video"
    LOCATION = "location", "Location"
    VCARD = "vcard", "Contact card"
    STICKER = "sticker", "Sticker"
    CALL = "call_log", "Missed call"
    BY_API = "by_api", "Sent by the API"
    TYPED = "typed", "Typed on the phone"
    STATUS = "status", "Instance status"
    NEW_CHAT = "new_chat", "New chat"
    CHAT = "chat_change", "Chat changed"


# The three main kinds: kind, icon, sentence.
MAIN_KINDS = (
    (SimulationKind.MESSAGE, "message-circle", "A contact writes to this instance"),
    (SimulationKind.DELIVERED, "checks", "Ack: it is on the recipient's device"),
    (SimulationKind.VIEWED, "eye", "Ack: the recipient has opened it"),
)
# The other kinds in groups: heading, kinds with their icons.
MORE_KINDS = (
    (
        "Received messages",
        (
            (SimulationKind.IMAGE, "photo"),
            (SimulationKind.PTT, "microphone"),
            (SimulationKind.AUDIO, "music"),
            (SimulationKind.VIDEO, "video"),
            (SimulationKind.DOCUMENT, "file"),
            (SimulationKind.STICKER, "sticker"),
            (SimulationKind.LOCATION, "map-pin"),
            (SimulationKind.VCARD, "address-book"),
            (SimulationKind.GROUP, "users"),
            (SimulationKind.QUOTED, "quote"),
            (SimulationKind.FORWARDED, "arrow-forward-up"),
            (SimulationKind.CALL, "phone-x"),
        ),
    ),
    ("Outgoing messages", ((SimulationKind.BY_API, "code"), (SimulationKind.TYPED, "keyboard"))),
    ("Acks", ((SimulationKind.SENT, "check"),)),
    (
        "Chats and status",
        (
            (SimulationKind.NEW_CHAT, "message-plus"),
            (SimulationKind.CHAT, "messages"),
            (SimulationKind.STATUS, "device-desktop"),
        ),
    ),
)
ACKS = {
    SimulationKind.SENT: Ack.SENT,
    SimulationKind.DELIVERED: Ack.DELIVERED,
    SimulationKind.VIEWED: Ack.VIEWED,
}
OUTGOING = (SimulationKind.BY_API, SimulationKind.TYPED)
HOOK_KINDS = {
    "messages": Kind.MESSAGE,
    "ack": Kind.ACK,
    "instanceStatus": Kind.STATUS,
    "chatUpdate": Kind.CHAT,
}


def body_key(kind: str) -> str:
    """Returns the key of the body's list."""
    if kind in ACKS:
        return "ack"
    if kind == SimulationKind.STATUS:
        return "instanceStatus"
    return "chatUpdate" if kind in (SimulationKind.CHAT, SimulationKind.NEW_CHAT) else "messages"


def hook_kind(kind: str) -> Kind:
    return HOOK_KINDS[body_key(kind)]
