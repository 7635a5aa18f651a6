"""What each field of a hook means, for the Explained tab: contract.md section 3 in a reader's words."""

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
    "sent": "one tick: the messenger has taken the message",
    "delivered": "two ticks: it is on the recipient's device",
    "viewed": "blue ticks: the recipient has opened it",
}
ACCOUNT = {
    "init": "asleep; the next call wakes it",
    "loading": "connecting",
    "got qr code": "waits for the phone to scan the code",
    "authenticated": "linked: messages go in and out",
    "not_paid": "not paid, so nothing is sent or received",
}
SUBSTATUS = {
    "normal": "keep the phone connected",
    "phone": "the phone is not connected",
    "computer": "trying to reach the phone",
    "offline": "this computer is not connected",
    "battery_low": "the phone's battery is low",
    "syncing": "synchronisation is under way",
    "expired": "the QR code is older than a minute",
}


class Row(NamedTuple):
    """One field: its name (dotted inside an object), its JSON value, and what that means; "" when unknown."""

    name: str
    value: str
    meaning: str


class Group(NamedTuple):
    """The fields of one object of the hook's list, or of the envelope around it."""

    title: str
    rows: list[Row]


def moment(value: Any) -> str:
    """Unix seconds as "14 November 2023, 22:13:20 UTC"."""
    try:
        return f"{datetime.fromtimestamp(int(value), UTC):%-d %B %Y, %H:%M:%S} UTC"
    except (TypeError, ValueError, OverflowError, OSError):
        return "not a time in unix seconds"


def chat_kind(value: Any) -> str:
    text = str(value)
    if text.endswith("@g.us"):
        return "a group"
    return f"the contact +{text.removesuffix('@c.us')}" if text.endswith("@c.us") else "not a chat id"


def message_id(value: Any) -> str:
    parts = str(value).split("_")
    made = "made by the API" if len(parts) > 2 and parts[2].startswith("3EB0") else "made on a phone"
    return f"the message's id for good: fromMe, chat and a number {made}"


MESSAGE: dict[str, Callable[[Any], str]] = {
    "id": message_id,
    "body": lambda value: "always a string: the text, or a media file's URL, a place, a vCard",
    "fromMe": lambda value: "sent by this account" if value else "received by this account",
    "self": lambda value: "sent through the API" if value == 1 else "not sent through the API",
    "isForwarded": lambda value: "forwarded" if value else "not forwarded",
    "author": lambda value: f"who wrote it: {chat_kind(value)}",
    "time": moment,
    "chatId": lambda value: f"the conversation: {chat_kind(value)}",
    "messageNumber": lambda value: (
        "its place among this instance's messages, without gaps; “messages” can start after it"
    ),
    "type": lambda value: TYPES.get(str(value), "not a type that is known"),
    "senderName": lambda value: "the name in the address book, else the number",
    "caption": lambda value: "no text beside the media" if value is None else "the text beside the media",
    "quotedMsgBody": lambda value: (
        "no message is quoted" if value is None else "the text of the message it answers"
    ),
    "quotedMsgId": lambda value: (
        "no message is quoted" if value is None else "the id of the message it answers"
    ),
    "quotedMsgType": lambda value: (
        "no message is quoted" if value is None else "the type of the message it answers"
    ),
    "chatName": lambda value: "the name of the conversation",
    "metadata": lambda value: "nothing more is known" if value is None else "what the messenger says besides",
    "ack": lambda value: f"so far it was {ACKS.get(value, 'something unknown')}; only on outgoing messages",
}
ACK: dict[str, Callable[[Any], str]] = {
    "id": lambda value: "the message it is about: the id that the send call answered",
    "queueNumber": lambda value: "the number in the outgoing queue that the send call answered",
    "chatId": lambda value: f"the recipient: {chat_kind(value)}",
    "status": lambda value: STATUSES.get(str(value), "not a status that is known"),
}
STATUS: dict[str, Callable[[Any], str]] = {
    "old.accountStatus": lambda value: f"before: {ACCOUNT.get(str(value), 'not a status that is known')}",
    "old.substatus": lambda value: f"before: {SUBSTATUS.get(str(value), 'a finer state of it')}",
    "new.accountStatus": lambda value: f"now: {ACCOUNT.get(str(value), 'not a status that is known')}",
    "new.substatus": lambda value: f"now: {SUBSTATUS.get(str(value), 'a finer state of it')}",
    "time": moment,
}
CHAT_FIELDS: dict[str, Callable[[Any], str]] = {
    "id": lambda value: f"the conversation: {chat_kind(value)}",
    "name": lambda value: "its name",
    "image": lambda value: "it has no picture" if value is None else "its picture",
    "metadata.isGroup": lambda value: "a group" if value else "a conversation of two",
    "metadata.participants": lambda value: "who is in the group",
    "metadata.admins": lambda value: "who may change the group",
    "metadata.groupInviteLink": lambda value: "whoever opens it may join",
    "last_time": lambda value: f"its last message: {moment(value)}",
}
CHAT: dict[str, Callable[[Any], str]] = {"old": lambda value: "it was not there before"} | {
    f"{side}.{name}": meaning for side in ("old", "new") for name, meaning in CHAT_FIELDS.items()
}
MEANINGS = {Family.MESSAGE: MESSAGE, Family.ACK: ACK, Family.STATUS: STATUS, Family.CHAT: CHAT}
TITLES = {
    Family.MESSAGE: "messages",
    Family.ACK: "ack",
    Family.STATUS: "instanceStatus",
    Family.CHAT: "chatUpdate",
}
# A hook has one object; a body of thousands, which anybody may post, would only make a page that cannot be read.
MOST_GROUPS, MOST_ROWS = 20, 60


def explain(recognition: Recognition, envelope: Mapping[str, Any]) -> list[Group]:
    """The fields in the order they came, grouped by object; empty for what is not a hook."""
    if recognition.family == Family.OTHER:
        return []
    meanings, title = MEANINGS[recognition.family], TITLES[recognition.family]
    groups = [
        Group(
            f"{title}[{index}]",
            [row(name, value, meanings) for name, value in flat(item, meanings)][:MOST_ROWS],
        )
        for index, item in enumerate(recognition.items[:MOST_GROUPS])
    ]
    around = [
        Row(name, shown(value), "the instance's number, always a string" if name == "instanceId" else "")
        for name, value in list(envelope.items())[:MOST_ROWS]
        if name != title
    ]
    return [*groups, Group("around it", around)] if around else groups


def flat(item: Mapping[str, Any], meanings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Objects that the contract describes inside are opened as `new.name`; others stay one value."""
    for name, value in item.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and any(known.startswith(f"{path}.") for known in meanings):
            yield from flat(value, meanings, f"{path}.")
        else:
            yield path, value


def row(name: str, value: Any, meanings: Mapping[str, Callable[[Any], str]]) -> Row:
    return Row(name, shown(value), meanings[name](value) if name in meanings else "")


def shown(value: Any) -> str:
    """The value as JSON, at most 500 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 500 else text[:499] + "…"
