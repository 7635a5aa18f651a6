"""Choices and constants of instances, chats and messages, spelled as in the wire contract."""

from __future__ import annotations

from datetime import timedelta

from django.db import models


class Channel(models.TextChoices):
    """How an instance is connected to its messenger; one folder each in instances/channels.

    Only those of instances.channels.CHANNELS can be chosen.
    """

    SANDBOX = "sandbox", "Sandbox"
    WHATSAPP_CLOUD = "whatsapp_cloud", "WhatsApp Business"
    TELEGRAM = "telegram", "Telegram bot"
    MATRIX = "matrix", "Matrix"
    XMPP = "xmpp", "XMPP"
    WAHA = "waha", "Personal WhatsApp (WAHA)"


class AccountStatus(models.TextChoices):
    """contract.md, section 4; `not_paid` is derived from paid_until and never stored."""

    INIT = "init", "init"
    LOADING = "loading", "loading"
    GOT_QR_CODE = "got qr code", "got qr code"
    AUTHENTICATED = "authenticated", "authenticated"


NOT_PAID = "not_paid"
QR_CODE_LIFETIME = timedelta(minutes=1)  # contract.md, section 4


class Substatus(models.TextChoices):
    NORMAL = "normal", "normal"
    PHONE = "phone", "phone"
    COMPUTER = "computer", "computer"
    OFFLINE = "offline", "offline"
    BATTERY_LOW = "battery_low", "battery_low"
    BATTERY_LOW_1 = "battery_low_1", "battery_low_1"
    BATTERY_LOW_2 = "battery_low_2", "battery_low_2"
    SYNCING = "syncing", "syncing"
    LOADING = "loading", "loading"
    EXPIRED = "expired", "expired"
    OPENING = "opening", "opening"
    PAIRING = "pairing", "pairing"
    TIMEOUT = "timeout", "timeout"


class StopReason(models.TextChoices):
    """Why an instance is stopped. Both have the same effect."""

    STAFF = "staff", "stopped by staff"
    BLOCKED = "blocked", "its account is blocked"


# An authenticated account sends messages and receives acks while it has one of these; otherwise they wait.
CONNECTED = (Substatus.NORMAL, Substatus.BATTERY_LOW, Substatus.BATTERY_LOW_1, Substatus.BATTERY_LOW_2)


class SendState(models.TextChoices):
    """The state of a message that has not become a Message yet."""

    QUEUED = "queued", "Queued"
    SENDING = "sending", "Sending"
    FAILED = "failed", "Failed"


class TryResult(models.TextChoices):
    """What the messenger's response to one try of a message means."""

    SENT = "sent", "Sent"
    REFUSED = "refused", "Refused"
    RETRY = "retry", "To be retried"
    UNLINKED = "unlinked", "Not linked"
    UNKNOWN = "unknown", "Unknown"


class LoadingReason(models.TextChoices):
    """Why an instance is `loading`; `reason` of statusData."""

    CONNECTING = "connecting", "connecting"
    SYNCING = "syncing", "syncing"
    OFFLINE = "offline", "offline"
    PROXYBLOCK = "proxyblock", "proxyblock"
    CONFLICT = "conflict", "conflict"


class MessageType(models.TextChoices):
    CHAT = "chat", "Text"
    IMAGE = "image", "Image"
    PTT = "ptt", "Voice"
    DOCUMENT = "document", "Document"
    AUDIO = "audio", "Audio"
    VIDEO = "video", "Video"
    LOCATION = "location", "Location"
    CALL_LOG = "call_log", "Missed call"
    VCARD = "vcard", "Contact card"
    STICKER = "sticker", "Sticker"


# Messages whose body is the URL of a file.
FILE_TYPES = (
    MessageType.IMAGE,
    MessageType.PTT,
    MessageType.DOCUMENT,
    MessageType.AUDIO,
    MessageType.VIDEO,
    MessageType.STICKER,
)


class Ack(models.IntegerChoices):
    """The acks of an outgoing message; a status is never lowered."""

    SENT = 1, "sent"
    DELIVERED = 2, "delivered"
    VIEWED = 3, "viewed"

    @classmethod
    def of_status(cls, status: str) -> Ack:
        """Returns the ack with this `status` of the wire contract. Raises ValueError with the statuses."""
        for ack in cls:
            if ack.label == status:
                return ack
        raise ValueError(f"status takes one of {', '.join(cls.labels)}")


class ActionType(models.TextChoices):
    """What a channel carries out besides messages (instances/commands.py), spelled as `type` of showActionsQueue."""

    CREATE_GROUP = "create group", "create group"
    ADD_PARTICIPANT = "add group participant", "add group participant"
    REMOVE_PARTICIPANT = "remove group participant", "remove group participant"
    PROMOTE_PARTICIPANT = "promote group participant", "promote group participant"
    DEMOTE_PARTICIPANT = "demote group participant", "demote group participant"
    READ_CHAT = "read chat", "read chat"
    JOIN_GROUP = "join group", "join group"
    LEAVE_GROUP = "leave group", "leave group"
    TYPING = "typing", "typing"
    RECORDING = "recording", "recording"
