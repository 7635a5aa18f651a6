"""What the stanzas of others mean, as instances.received_events. Pure: the same stanza means the same again.

Each stanza is taken for what its address allows: a carbon copy only from the account itself, a message of a room only
from a room that the account is in, a receipt only for a message to its sender.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element

from instances import chat_ids
from instances.channels.xmpp import jids
from instances.channels.xmpp.errors import error_in, sentence_of
from instances.channels.xmpp.stream import MESSAGE, normal
from instances.channels.xmpp.xml import CLIENT, child, child_text
from instances.models import Ack, MessageType
from instances.received_events import (
    ChatViewed,
    Media,
    MessageAcked,
    MessageFailed,
    MessageReceived,
    MessageTyped,
    ReceivedEvent,
)

CARBONS, FORWARD, DELAY = "urn:xmpp:carbons:2", "urn:xmpp:forward:0", "urn:xmpp:delay"
RECEIPTS, MARKERS, IDS = "urn:xmpp:receipts", "urn:xmpp:chat-markers:0", "urn:xmpp:sid:0"
REPLY, FALLBACK, REPLACE = "urn:xmpp:reply:0", "urn:xmpp:fallback:0", "urn:xmpp:message-correct:0"
RETRACT, OLD_RETRACT, FASTEN = "urn:xmpp:message-retract:1", "urn:xmpp:message-retract:0", "urn:xmpp:fasten:0"
OOB, GEOLOC, VCARD4 = "jabber:x:oob", "http://jabber.org/protocol/geoloc", "urn:ietf:params:xml:ns:vcard-4.0"
REACTIONS, MAX_EMOJI = "urn:xmpp:reactions:0", 100  # characters of all reactions of a person to a message
NICK, STICKERS = "http://jabber.org/protocol/nick", "urn:xmpp:stickers:0"
MUC, DIRECT_INVITE = "http://jabber.org/protocol/muc", "jabber:x:conference"
MUC_USER = f"{MUC}#user"
ENCRYPTED_TAGS = tuple(
    f"{{{space}}}{name}"
    for space, name in (
        ("eu.siacs.conversations.axolotl", "encrypted"), ("urn:xmpp:omemo:2", "encrypted"),
        ("urn:xmpp:omemo:1", "encrypted"), ("jabber:x:encrypted", "x"), ("urn:xmpp:openpgp:0", "openpgp"),
    )
)  # fmt: skip
ENCRYPTED = (
    "[This message is encrypted (OMEMO or OpenPGP), and this instance cannot read encrypted messages. "
    "Switch encryption off for this chat, and write again.]"
)
OWN_ID = re.compile(r"capi[0-9a-f]{28}")  # of messages that this product has sent
# Files of voice messages: XMPP has no mark for them, but clients have these names.
VOICE = re.compile(r"(?:recording|voice|ptt)", re.IGNORECASE)
LONG_ID = 16  # characters: an id that clients make at random


@dataclass(frozen=True, slots=True)
class Invitation:
    room: str
    password: str = ""


@dataclass(slots=True)
class Found:
    """What one stanza means. `receipt`: the message's id, if its sender asks for a receipt, at `sender`.

    `sent` is the id of a message that this product has sent; `archive_id` what the room's archive calls it.
    """

    event: ReceivedEvent | None = None
    sender: str = ""
    receipt: str = ""
    sent: str = ""
    archive_id: str = ""
    invitation: Invitation | None = None
    failed: str = ""  # the id of a message that came back as an error


@dataclass
class Room:
    """A room that the account is in, or enters. `people` are the bare JIDs behind nicknames, as far as trusted."""

    jid: str
    nick: str
    password: str = ""
    is_entered: bool = False
    was_entered: bool = False  # before that it may be anything, such as the JID of a person
    archive_id: str = ""  # of the last message that was recorded …
    stamp: str = ""  # … and its time
    is_behind: bool = False  # its archive has messages that are not read: until then the two above stay
    read_at: float = 0.0  # by the loop's time: when its archive is read next
    people: dict[str, str] = field(default_factory=dict)


class Reader:
    """Of one account."""

    def __init__(self, own: str, rooms: Mapping[str, Room]) -> None:
        self.own, self.domain, self.all_rooms = own, jids.domain(own), rooms

    def room_at(self, jid: str) -> Room | None:
        """Returns the room with this JID, if the account has been in it."""
        room = self.all_rooms.get(jid)
        return room if room is not None and room.was_entered else None

    def read(self, message: Element) -> Found:
        """Returns what a message means that came on the stream."""
        sender = normal(message.get("from", "")) or self.own
        for name in ("sent", "received"):
            if (copy := child(message, f"{{{CARBONS}}}{name}")) is not None:
                inner = child(child(copy, f"{{{FORWARD}}}forwarded"), MESSAGE)
                if sender != self.own or inner is None:  # only the account's own server makes carbon copies
                    return Found()
                return self.read_message(inner, self.archive_id(inner, self.own), stamp_of_copy(copy))
        stamp = self.trusted_stamp(message, jids.bare(sender))
        is_in_room = message.get("type") == "groupchat"
        return self.read_message(message, "" if is_in_room else self.archive_id(message, self.own), stamp)

    def read_message(self, message: Element, archive_id: str, stamp: str) -> Found:
        """Returns what a message means: one that came, a copy of another client's, or one of an archive."""
        sender = normal(message.get("from", "")) or self.own
        kind = message.get("type", "normal")
        try:
            if kind == "error":
                return self.read_error(message, sender)
            if kind == "groupchat":
                return self.read_in_room(message, sender, archive_id, stamp)
            return self.read_direct(message, sender, archive_id, stamp)
        except chat_ids.BadChatId:  # an address too long for a chat id
            return Found()

    def read_of_room(self, room: str, message: Element, archive_id: str, stamp: str) -> Found:
        """Returns what a message of a room's archive means. A room may say only what was written in it."""
        if message.get("type") != "groupchat" or jids.bare(message.get("from", "")) != room:
            return Found()
        return self.read_message(message, archive_id, stamp)

    def read_error(self, message: Element, sender: str) -> Found:
        """A message of the account came back."""
        key = message.get("id", "")
        if not OWN_ID.fullmatch(key):
            return Found()
        condition, _, said = error_in(message)
        event = MessageFailed(
            messenger_id=key, reason=sentence_of(condition, said), chat_id=self.chat_of(sender)
        )
        return Found(event, failed=key, sender=sender)

    def chat_of(self, jid: str) -> str:
        """Returns the chat with this sender: an occupant of a room by the full JID, others by the bare one."""
        address = jids.bare(jid)
        if self.room_at(address) is None:
            return jids.person_chat_id(address)
        return jids.person_chat_id(jid) if jids.resource(jid) else jids.room_chat_id(address)

    def read_direct(self, message: Element, sender: str, archive_id: str, stamp: str) -> Found:
        if jids.bare(sender) == self.own and jids.bare(message.get("to", "") or self.own) != self.own:
            return self.read_typed(message, archive_id, stamp)
        if invitation := self.invitation_in(message):
            return Found(invitation=invitation, sender=sender)
        chat_id = self.chat_of(sender)
        if acked := acked_in(message):
            name, key = acked
            if name == "displayed":
                return Found(ChatViewed(chat_id, key))
            return Found(MessageAcked(messenger_id=key, ack=Ack.DELIVERED, chat_id=chat_id))
        said = said_in(message)
        if said is None:
            return Found()
        is_readable = "key" not in said
        event = MessageReceived(
            **{
                "key": key_of(message, archive_id, stamp),
                "sender": chat_id,
                "sender_name": self.name_of(message, sender),
                "time": time_of(stamp),
                **said,
            }
        )
        asks = child(message, f"{{{RECEIPTS}}}request") is not None and is_readable
        return Found(event, sender, message.get("id", "") if asks else "")

    def name_of(self, message: Element, sender: str) -> str:
        if self.room_at(jids.bare(sender)) is not None:
            return jids.resource(sender)
        return child_text(message, f"{{{NICK}}}nick").strip()[:100] or jids.local(sender)

    def read_typed(self, message: Element, archive_id: str, stamp: str) -> Found:
        """A message of the account itself: of this product, or typed in another client."""
        key = message.get("id", "")
        if OWN_ID.fullmatch(key):
            return Found(sent=key)
        said = said_in(message)
        if said is None or "key" in said:
            return Found()
        chat_id = self.chat_of(normal(message.get("to", "")))
        key = key_of(message, archive_id, stamp)
        return Found(MessageTyped(key=key, chat_id=chat_id, time=time_of(stamp), **said))

    def read_in_room(self, message: Element, sender: str, archive_id: str, stamp: str) -> Found:
        room, nick = self.room_at(jids.bare(sender)), jids.resource(sender)
        if room is None or not nick:
            return Found()
        archive_id = archive_id or self.archive_id(message, room.jid)
        key, chat_id = message.get("id", ""), jids.room_chat_id(room.jid)
        is_own = nick == room.nick
        if is_own and OWN_ID.fullmatch(key):
            return Found(sent=key, archive_id=archive_id, sender=room.jid)
        if acked := acked_in(message):
            return Found() if is_own or acked[0] != "displayed" else Found(ChatViewed(chat_id, acked[1]))
        said = said_in(message)
        if said is None:
            return Found(archive_id=archive_id, sender=room.jid)
        fields: dict[str, Any] = {
            "key": key_of(message, archive_id, stamp, is_room=True),
            "chat_id": chat_id,
            "time": time_of(stamp),
            **said,
        }
        if is_own:
            event: ReceivedEvent = MessageTyped(**fields)
        else:
            known = room.people.get(nick)
            author = jids.person_chat_id(known) if known else jids.person_chat_id(f"{room.jid}/{nick}")
            event = MessageReceived(sender=author, sender_name=nick, **fields)
        return Found(event, room.jid, archive_id=archive_id)

    def invitation_in(self, message: Element) -> Invitation | None:
        """Returns the room that the account is invited to: by the room itself, or by a person directly (XEP-0249)."""
        user = child(message, f"{{{MUC_USER}}}x")
        sender = jids.bare(message.get("from", ""))
        if child(user, f"{{{MUC_USER}}}invite") is not None and "@" in sender:
            return Invitation(sender, child_text(user, f"{{{MUC_USER}}}password"))
        direct = child(message, f"{{{DIRECT_INVITE}}}x")
        if direct is None or not jids.is_jid(direct.get("jid", "")) or "@" not in direct.get("jid", ""):
            return None
        return Invitation(jids.bare(direct.get("jid", "")), direct.get("password", ""))

    def archive_id(self, message: Element, by: str) -> str:
        """Returns what an archive calls the message. Its server removes such ids that others have added."""
        for found in message.iterfind(f"{{{IDS}}}stanza-id"):
            if jids.bare(found.get("by", "")) == by and chat_ids.storable_messenger_id(found.get("id", "")):
                return found.get("id", "")
        return ""

    def trusted_stamp(self, message: Element, sender: str) -> str:
        """Returns when a delayed message was sent, if the account's server or its room says so."""
        for found in message.iterfind(f"{{{DELAY}}}delay"):
            by = jids.bare(found.get("from", ""))
            if by in (self.own, self.domain) or (by == sender and self.room_at(sender) is not None):
                return found.get("stamp", "")
        return ""

    def learn_person(self, room: Room, nick: str, jid: str) -> None:
        """Remember who a nickname is, if the room is trusted."""
        if jid and self.trusts(room) and len(room.people) < MAX_PEOPLE:
            room.people[nick] = jids.bare(jid)

    def trusts(self, room: Room) -> bool:
        """Whether the room is of the account's own server: others could say anything of who a nickname is."""
        return self.is_at_own_server(room.jid)

    def is_at_own_server(self, jid: str) -> bool:
        host = jids.domain(jid)
        return host == self.domain or host.endswith(f".{self.domain}")


MAX_PEOPLE = 2_000  # of a room that are remembered


def stamp_of_copy(copy: Element) -> str:
    delay = child(child(copy, f"{{{FORWARD}}}forwarded"), f"{{{DELAY}}}delay")
    return delay.get("stamp", "") if delay is not None else ""


def acked_in(message: Element) -> tuple[str, str] | None:
    """Returns what a receipt or marker says, `received` or `displayed`, and of which message."""
    found = child(message, f"{{{RECEIPTS}}}received")
    if found is not None and found.get("id"):
        return "received", found.get("id", "")
    for name in ("acknowledged", "displayed", "received"):
        found = child(message, f"{{{MARKERS}}}{name}")
        if found is not None and found.get("id"):
            return "received" if name == "received" else "displayed", found.get("id", "")
    return None


def key_of(message: Element, archive_id: str, stamp: str, *, is_room: bool = False) -> str:
    """Returns the id by which a repeated message is recognised, and quoted by others.

    In a room, that of its archive. Elsewhere the sender's own, if it is one that clients make at random: some count
    from 1 at each start. Without either, a digest of the message.
    """
    own, origin = message.get("id", ""), child(message, f"{{{IDS}}}origin-id")
    if is_room and archive_id:
        return archive_id
    is_unique = len(own) >= LONG_ID or (origin is not None and origin.get("id") == own)
    if own and is_unique and chat_ids.storable_messenger_id(own):
        return own
    if archive_id:
        return archive_id
    said = "\n".join((message.get("from", ""), own, stamp, child_text(message, f"{{{CLIENT}}}body")))
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:32]


def said_in(message: Element) -> dict[str, Any] | None:
    """Returns what a message says, as fields of MessageReceived; None if it says nothing to people."""
    if any(child(message, tag) is not None for tag in ENCRYPTED_TAGS):
        # recorded once for each sender: the key is theirs
        return {"key": f"encrypted {jids.bare(message.get('from', ''))}"[:200], "body": ENCRYPTED}
    fastened = child(message, f"{{{FASTEN}}}apply-to")
    if (
        child(message, f"{{{RETRACT}}}retract") is not None
        or child(fastened, f"{{{OLD_RETRACT}}}retract") is not None
    ):
        return None
    if (reactions := child(message, f"{{{REACTIONS}}}reactions")) is not None:
        return reaction_in(reactions)
    quoted, body = quote_in(message)
    url = child_text(child(message, f"{{{OOB}}}x"), f"{{{OOB}}}url").strip()
    if body.startswith("aesgcm://") or url.startswith("aesgcm://"):
        return {"key": f"encrypted {jids.bare(message.get('from', ''))}"[:200], "body": ENCRYPTED}
    if place := place_in(message, body):
        latitude, longitude, text = place
        return {
            "quoted": quoted,
            "type": MessageType.LOCATION,
            "body": f"{latitude};{longitude}",
            "caption": text or None,
        }
    if urlsplit_or_none(url):
        is_sticker = child(message, f"{{{STICKERS}}}sticker") is not None
        return {"quoted": quoted, **file_at(url, body, is_sticker=is_sticker)}
    if not body:
        return None
    if body.startswith("BEGIN:VCARD") or child(message, f"{{{VCARD4}}}vcard") is not None:
        return {"quoted": quoted, "type": MessageType.VCARD, "body": body}
    return {"quoted": quoted, "body": body}


def reaction_in(reactions: Element) -> dict[str, Any] | None:
    """Returns a person's reactions (XEP-0444) as a message that quotes the other; None if they were removed."""
    found = reactions.iterfind(f"{{{REACTIONS}}}reaction")
    emoji = "".join((each.text or "").strip() for each in found)[:MAX_EMOJI]
    return {"quoted": reactions.get("id", ""), "body": emoji} if emoji else None


def quote_in(message: Element) -> tuple[str, str]:
    """Returns the id of the message that this one answers or corrects, and the body without the quoted lines."""
    body = child_text(message, f"{{{CLIENT}}}body")
    replaced = child(message, f"{{{REPLACE}}}replace")
    if replaced is not None and replaced.get("id"):
        return replaced.get("id", ""), body
    reply = child(message, f"{{{REPLY}}}reply")
    if reply is None or not reply.get("id"):
        return "", body
    for fallback in message.iterfind(f"{{{FALLBACK}}}fallback"):
        part = child(fallback, f"{{{FALLBACK}}}body")
        if fallback.get("for") == REPLY and part is not None:
            start, end = part.get("start", ""), part.get("end", "")
            if start.isdecimal() and end.isdecimal() and len(start) < 10 and len(end) < 10:
                body = body[: int(start)] + body[int(end) :]
    return reply.get("id", ""), body


def place_in(message: Element, body: str) -> tuple[str, str, str] | None:
    """Returns latitude, longitude and text of a location (XEP-0080, or a geo URI as the whole body)."""
    found = child(message, f"{{{GEOLOC}}}geoloc")
    latitude, longitude = child_text(found, f"{{{GEOLOC}}}lat"), child_text(found, f"{{{GEOLOC}}}lon")
    text = child_text(found, f"{{{GEOLOC}}}text") or child_text(found, f"{{{GEOLOC}}}description")
    if found is None and (
        uri := re.fullmatch(r"geo:(-?[0-9.]{1,20}),(-?[0-9.]{1,20})(?:[,;?].*)?", body.strip())
    ):
        latitude, longitude = uri[1], uri[2]
    try:
        is_on_earth = abs(float(latitude)) <= 90 and abs(float(longitude)) <= 180
    except ValueError:
        return None
    return (latitude.strip(), longitude.strip(), text) if is_on_earth else None


def urlsplit_or_none(url: str) -> bool:
    """Returns whether this is the URL of a file that can be fetched."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and len(url) <= 2_000
    except ValueError:
        return False


def file_at(url: str, body: str, *, is_sticker: bool) -> dict[str, Any]:
    """Returns the fields of a file that is at a URL. What is in the body besides the URL is its caption."""
    filename = unquote(urlsplit(url).path).rpartition("/")[2][-200:]
    content_type = mimetypes.guess_type(filename)[0] or ""
    kind = {
        "image": MessageType.IMAGE, "video": MessageType.VIDEO, "audio": MessageType.AUDIO,
    }.get(content_type.partition("/")[0], MessageType.DOCUMENT)  # fmt: skip
    if kind == MessageType.AUDIO and VOICE.match(filename):
        kind = MessageType.PTT
    caption = body.replace(url, "").strip()
    return {
        "type": MessageType.STICKER if is_sticker else kind,
        "media": Media(reference=url, content_type=content_type, filename=filename),
        "caption": caption or None,
    }


def time_of(stamp: str) -> datetime | None:
    """Returns the time of a stamp (XEP-0082); None without a valid one."""
    try:
        found = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
