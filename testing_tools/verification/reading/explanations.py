"""The meaning of each field of a hook, for the Explained tab (contract.md section 3)."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from testing_tools.verification.models import Family
from testing_tools.verification.reading.recognition import Recognition

TYPES = {
    "chat": "text",
    "image": "a picture; “body” is its URL",
    "ptt": "a voice message; “body” is its URL",
    "document": "a file; “body” is its URL",
    "audio": "a sound file; “body” is its URL",
    "video": "a video; “body” is its URL, or “upload disabled” while videoUploadOn is off",
    "location": "a place; “body” is “latitude;longitude”",
    "call_log": "a missed call; “body” is “[Call]”",
    "vcard": "a contact card; “body” is the vCard",
    "sticker": "a sticker; “body” is its URL",
}
ACKS = {1: "sent", 2: "delivered", 3: "viewed"}
STATUSES = {
    "sent": "one tick: the messenger has accepted the message",
    "delivered": "two ticks: it is on the recipient's device",
    "viewed": "blue ticks: the recipient has opened it",
}
ACCOUNT = {
    "init": "not started; the next call starts it",
    "loading": "connecting",
    "got qr code": "waiting for the phone to scan the QR code",
    "authenticated": "linked: messages are sent and received",
    "not_paid": "not paid: nothing is sent or received",
}
SUBSTATUS = {
    "normal": "keep the phone connected",
    "phone": "the phone is not connected",
    "computer": "connecting to the phone",
    "offline": "this computer is not connected",
    "battery_low": "the phone's battery is low",
    "syncing": "synchronising",
    "expired": "the QR code is older than a minute",
}


class FieldRow(NamedTuple):
    """One field: its name (dotted inside an object), its JSON value, and its meaning; "" if unknown."""

    name: str
    value: str
    meaning: str


class ObjectFields(NamedTuple):
    """The fields of one object of the hook's list, or of the envelope."""

    title: str
    rows: list[FieldRow]


def time_text(value: Any) -> str:
    """Returns Unix seconds as "14 November 2023, 22:13:20 UTC"."""
    try:
        return f"{datetime.fromtimestamp(int(value), UTC):%-d %B %Y, %H:%M:%S} UTC"
    except (TypeError, ValueError, OverflowError, OSError):
        return "not a time in Unix seconds"


def chat_kind(value: Any) -> str:
    text = str(value)
    if text.endswith("@g.us"):
        return "a group"
    return f"the contact +{text.removesuffix('@c.us')}" if text.endswith("@c.us") else "not a chat id"


def message_id(value: Any) -> str:
    parts = str(value).split("_")
    origin = "the API" if len(parts) > 2 and parts[2].startswith("3EB0") else "a phone"
    return f"the message's permanent id: fromMe, chat, and a number created by {origin}"


MESSAGE: dict[str, Callable[[Any], str]] = {
    "id": message_id,
    "body": lambda value: "always a string: the text, the URL of a file, coordinates, or a vCard",
    "fromMe": lambda value: "sent by this account" if value else "received by this account",
    "self": lambda value: "sent through the API" if value == 1 else "not sent through the API",
    "isForwarded": lambda value: "forwarded" if value else "not forwarded",
    "author": lambda value: f"the author: {chat_kind(value)}",
    "time": time_text,
    "chatId": lambda value: f"the chat: {chat_kind(value)}",
    "messageNumber": lambda value: (
        "its number among this instance's messages, without gaps; “messages” can start after it"
    ),
    "type": lambda value: TYPES.get(str(value), "unknown type"),
    "senderName": lambda value: "the name in the address book, or the number",
    "caption": lambda value: "no caption" if value is None else "the text sent with the file",
    "quotedMsgBody": lambda value: "no quoted message" if value is None else "the text of the quoted message",
    "quotedMsgId": lambda value: "no quoted message" if value is None else "the id of the quoted message",
    "quotedMsgType": lambda value: "no quoted message" if value is None else "the type of the quoted message",
    "chatName": lambda value: "the name of the chat",
    "metadata": lambda value: "no further data" if value is None else "further data from the messenger",
    "ack": lambda value: f"{ACKS.get(value, 'unknown')} so far; only on outgoing messages",
}
ACK: dict[str, Callable[[Any], str]] = {
    "id": lambda value: "the message: the id in the response of the send call",
    "queueNumber": lambda value: "the queue number in the response of the send call",
    "chatId": lambda value: f"the recipient: {chat_kind(value)}",
    "status": lambda value: STATUSES.get(str(value), "unknown status"),
}
STATUS: dict[str, Callable[[Any], str]] = {
    "old.accountStatus": lambda value: f"before: {ACCOUNT.get(str(value), 'unknown status')}",
    "old.substatus": lambda value: f"before: {SUBSTATUS.get(str(value), 'a detail of the status')}",
    "new.accountStatus": lambda value: f"now: {ACCOUNT.get(str(value), 'unknown status')}",
    "new.substatus": lambda value: f"now: {SUBSTATUS.get(str(value), 'a detail of the status')}",
    "time": time_text,
}
CHAT_FIELDS: dict[str, Callable[[Any], str]] = {
    "id": lambda value: f"the chat: {chat_kind(value)}",
    "name": lambda value: "its name",
    "image": lambda value: "no picture" if value is None else "its picture",
    "metadata.isGroup": lambda value: "a group" if value else "a direct chat",
    "metadata.participants": lambda value: "the members of the group",
    "metadata.admins": lambda value: "the members who can change the group",
    "metadata.groupInviteLink": lambda value: "anyone who opens this link can join",
    "last_time": lambda value: f"time of its last message: {time_text(value)}",
}
CHAT: dict[str, Callable[[Any], str]] = {"old": lambda value: "null: the chat is new"} | {
    f"{side}.{name}": meaning for side in ("old", "new") for name, meaning in CHAT_FIELDS.items()
}
MEANINGS = {Family.MESSAGE: MESSAGE, Family.ACK: ACK, Family.STATUS: STATUS, Family.CHAT: CHAT}
TITLES = {
    Family.MESSAGE: "messages",
    Family.ACK: "ack",
    Family.STATUS: "instanceStatus",
    Family.CHAT: "chatUpdate",
}
# A hook has one object. Clients may post thousands, which would make the page unreadable.
MAX_OBJECTS, MAX_FIELDS = 20, 60


def explain(recognition: Recognition, envelope: Mapping[str, Any]) -> list[ObjectFields]:
    """Returns the fields in the order received, grouped by object; an empty list if it is not a hook."""
    if recognition.family == Family.OTHER:
        return []
    meanings, title = MEANINGS[recognition.family], TITLES[recognition.family]
    groups = [
        ObjectFields(
            f"{title}[{index}]",
            [field_row(name, value, meanings) for name, value in flatten(item, meanings)][:MAX_FIELDS],
        )
        for index, item in enumerate(recognition.items[:MAX_OBJECTS])
    ]
    envelope_rows = [
        FieldRow(
            name, to_json(value), "the instance's number, always a string" if name == "instanceId" else ""
        )
        for name, value in list(envelope.items())[:MAX_FIELDS]
        if name != title
    ]
    return [*groups, ObjectFields("Envelope", envelope_rows)] if envelope_rows else groups


def flatten(
    item: Mapping[str, Any], meanings: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Yields names and values. Objects whose fields the contract describes are flattened (`new.name`)."""
    for name, value in item.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and any(known.startswith(f"{path}.") for known in meanings):
            yield from flatten(value, meanings, f"{path}.")
        else:
            yield path, value


def field_row(name: str, value: Any, meanings: Mapping[str, Callable[[Any], str]]) -> FieldRow:
    return FieldRow(name, to_json(value), meanings[name](value) if name in meanings else "")


def to_json(value: Any) -> str:
    """Returns the value as JSON, cut to 500 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 500 else text[:499] + "…"
