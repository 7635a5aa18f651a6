"""What the events of a room mean: pure functions from the homeserver's JSON to instances.received_events."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from instances import chat_ids
from instances.channels.matrix import api, groups
from instances.channels.matrix.content import VOICE
from instances.models import Ack, MessageType
from instances.received_events import (
    ChatMoved,
    ChatViewed,
    GroupChanged,
    Media,
    MessageAcked,
    MessageReceived,
    MessageTyped,
    ReceivedEvent,
)

log = logging.getLogger(__name__)

# What /sync and /messages are asked for. Members tell names, and when the account came into a room.
TOMBSTONE = "m.room.tombstone"  # the room was replaced by another, for example one of a newer version
EVENT_TYPES = ("m.room.message", "m.sticker", "m.room.encrypted", TOMBSTONE, *groups.STATE_TYPES)

FILES = {
    "m.image": MessageType.IMAGE,
    "m.video": MessageType.VIDEO,
    "m.audio": MessageType.AUDIO,
    "m.file": MessageType.DOCUMENT,
    "m.sticker": MessageType.STICKER,
}
ENCRYPTED = (
    "[This room is encrypted, and this instance cannot read encrypted messages. "
    "Write in a room without encryption, for example a new one.]"
)

Json = Mapping[str, Any]


@dataclass
class Room:
    """A joined room, and the names of its members as far as they are known."""

    room: str
    user: str  # the account's own id
    is_direct: bool
    names: dict[str, str] = field(default_factory=dict)

    @property
    def chat_id(self) -> str:
        return api.room_chat_id(self.room, is_direct=self.is_direct)

    def learn_names(self, events: Iterable[Json]) -> None:
        for event in events:
            if event.get("type") == "m.room.member":
                user, name = text(event, "state_key"), text(content(event), "displayname")
                self.names[user] = name or self.names.get(user, "")

    def read(self, events: Sequence[Json]) -> list[ReceivedEvent]:
        """Returns what the events of the timeline mean, in order; those before the account came in are left out.

        People who come and go between two messages are one change of the group.
        """
        found: list[ReceivedEvent] = []
        members: dict[str, bool] = {}  # who has come or gone since the last message
        first = first_since_entry(events, self.user)
        for index, event in enumerate(events):
            self.learn_names([event])
            if index < first:
                continue
            if not self.is_direct and (member := groups.member_in(event)):
                members[member[0]] = member[1]
                continue
            try:
                read = self.read_one(event)
            except chat_ids.BadChatId as error:  # one event must not hold up the others for ever
                log.warning("An event of a Matrix room was left out: %s", error)
                continue
            if read is not None:
                found += [*self.changes(members), read]
                members = {}
        return found + self.changes(members)

    def changes(self, members: Mapping[str, bool]) -> list[ReceivedEvent]:
        return [*groups.changes_of(self.chat_id, members, self.names)] if members else []

    def read_one(self, event: Json) -> ReceivedEvent | None:
        """Returns what the event means; None if it is of no interest, or the echo of what was sent through the API."""
        kind, key, sender = text(event, "type"), text(event, "event_id"), text(event, "sender")
        if not key or not sender.startswith("@"):
            return None
        if kind == "m.room.encrypted":
            return self.encrypted(event, sender)
        if kind == TOMBSTONE:
            replacement = replacement_of(event)
            return ChatMoved(self.chat_id, replacement) if replacement else None
        if not self.is_direct and (name := groups.new_name_in(event)):
            return GroupChanged(self.chat_id, name)
        if kind not in ("m.room.message", "m.sticker"):
            return None
        said = said_in(event)
        if said is None:
            return None
        if sender != self.user:
            return MessageReceived(
                key=key,
                sender=api.user_chat_id(sender),
                sender_name=self.names.get(sender, ""),
                chat_id=self.chat_id,
                time=time_of(event),
                **said,
            )
        if text(mapping(event, "unsigned"), "transaction_id"):
            return None
        return MessageTyped(key=key, chat_id=self.chat_id, time=time_of(event), **said)

    def encrypted(self, event: Json, sender: str) -> ReceivedEvent | None:
        """Returns a message that says that the room cannot be read; it is recorded once, by the key of the room."""
        if sender == self.user:
            return None
        return MessageReceived(
            key=f"encrypted {self.room}",
            sender=api.user_chat_id(sender),
            sender_name=self.names.get(sender, ""),
            chat_id=self.chat_id,
            body=ENCRYPTED,
            time=time_of(event),
        )

    def read_receipts(self, events: Iterable[Json]) -> list[ReceivedEvent]:
        """Returns which messages others have read: all up to an event, or one of a thread."""
        found: list[ReceivedEvent] = []
        for event in events:
            if event.get("type") != "m.receipt":
                continue
            for key, receipts in content(event).items():
                readers = mapping(receipts, "m.read") if isinstance(receipts, Mapping) else {}
                for user, receipt in readers.items():
                    if user == self.user or not isinstance(receipt, Mapping):
                        continue
                    if text(receipt, "thread_id") not in ("", "main"):
                        found.append(MessageAcked(messenger_id=key, ack=Ack.VIEWED))
                    else:
                        found.append(ChatViewed(self.chat_id, key, time_of_milliseconds(receipt.get("ts"))))
        return found


def first_since_entry(events: Sequence[Json], user: str) -> int:
    """Returns the index after the account was invited or came in; 0 if it was in the room before these events.

    The first timeline of a room has older messages too, which were not for this account.
    """
    return max((index + 1 for index, event in enumerate(events) if is_entry(event, user)), default=0)


def has_entry(events: Sequence[Json], user: str) -> bool:
    return any(is_entry(event, user) for event in events)


def is_entry(event: Json, user: str) -> bool:
    """Whether the account was invited by this event, or came in without an invitation."""
    if event.get("type") != "m.room.member" or event.get("state_key") != user:
        return False
    before = text(mapping(mapping(event, "unsigned"), "prev_content"), "membership")
    now = text(content(event), "membership")
    return now == "invite" or (now == "join" and before not in ("invite", "join"))


def replacement_of(event: Json) -> str:
    """Returns the room that replaces one; empty if the event is no tombstone, or names none.

    Only those who may change the state of the room can replace it. Without `state_key` the event is a message, which
    any member can send with any type.
    """
    is_state = event.get("type") == TOMBSTONE and event.get("state_key") == ""
    found = text(content(event), "replacement_room") if is_state else ""
    return found if found.startswith("!") else ""


def said_in(event: Json) -> dict[str, Any] | None:
    """Returns what a message says, as fields of MessageReceived; None if it was deleted or has no text."""
    said, quoted = content(event), ""
    relation = mapping(said, "m.relates_to")
    if relation.get("rel_type") == "m.replace":  # an edit is a message that quotes what it replaces
        said, quoted = mapping(said, "m.new_content"), text(relation, "event_id")
    elif reply := text(mapping(relation, "m.in_reply_to"), "event_id"):
        quoted = reply
    kind = text(said, "msgtype") or ("m.sticker" if event.get("type") == "m.sticker" else "")
    body = text(said, "body")
    if quoted:
        body = without_fallback(body)
    if kind in FILES and (uri := text(said, "url")):
        return {"quoted": quoted, **file_in(said, kind, uri, body)}
    if kind == "m.location" and (place := place_of(text(said, "geo_uri"))):
        return {"quoted": quoted, "type": MessageType.LOCATION, "body": place, "caption": body or None}
    if not kind or not body:
        return None
    return {"quoted": quoted, "body": f"* {body}" if kind == "m.emote" else body}


def file_in(said: Json, kind: str, uri: str, body: str) -> dict[str, Any]:
    """Returns the fields of a file. With `filename`, `body` is the caption; without, it is the name."""
    info, filename = mapping(said, "info"), text(said, "filename")
    size = info.get("size")
    media = Media(
        reference=uri,
        content_type=text(info, "mimetype"),
        filename=filename or ("" if kind == "m.sticker" else body),
        size=size if isinstance(size, int) and size > 0 else 0,
    )
    has_caption = bool(filename) and filename != body
    is_voice = kind == "m.audio" and VOICE in said
    return {
        "type": MessageType.PTT if is_voice else FILES[kind],
        "media": media,
        "caption": body if has_caption and body else None,
    }


def place_of(uri: str) -> str:
    """Returns `latitude;longitude` of a geo URI (RFC 5870); empty if it is none."""
    scheme, _, rest = uri.partition(":")
    parts = rest.partition(";")[0].split(",")
    try:
        latitude, longitude = float(parts[0]), float(parts[1])
    except (ValueError, IndexError):
        return ""
    is_on_earth = scheme == "geo" and abs(latitude) <= 90 and abs(longitude) <= 180
    return f"{parts[0].strip()};{parts[1].strip()}" if is_on_earth else ""


def without_fallback(body: str) -> str:
    """Returns the text of a reply without the quoted lines that older clients put before it."""
    if not body.startswith("> "):
        return body
    lines = body.split("\n")
    first = next((index for index, line in enumerate(lines) if not line.startswith(">")), len(lines))
    return "\n".join(lines[first:]).lstrip("\n") or body


def time_of(event: Json) -> datetime | None:
    return time_of_milliseconds(event.get("origin_server_ts"))


def time_of_milliseconds(found: object) -> datetime | None:
    if not isinstance(found, int | float):
        return None
    try:
        return datetime.fromtimestamp(found / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def content(event: Json) -> Json:
    return mapping(event, "content")


def mapping(found: Json, name: str) -> Json:
    value = found.get(name)
    return value if isinstance(value, Mapping) else {}


def objects(found: Json, name: str) -> list[Json]:
    """Returns the objects of a list."""
    value = found.get(name)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def text(found: Json, name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""
