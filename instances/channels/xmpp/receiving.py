"""Receives over a stream. The cursor is how far the archives are recorded: the account's, and those of its rooms.

    open → become available → read the archive since the cursor → take requests of senders → live stanzas

The archive is read after the account is available, so nothing is between the two; what is in both has the same key, and
is recorded once. The server gets its ack of a stanza (XEP-0198) when it is recorded. The resource is always the same,
so a connection that a dead receiver has left is ended by the server before the archive is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree.ElementTree import Element

from instances.channels.receiving import Batch, Network, ReceiveFailed
from instances.channels.requests import Link
from instances.channels.xmpp.archive import Archived, read_after, read_page
from instances.channels.xmpp.errors import NotSent, StanzaRefused
from instances.channels.xmpp.reading import Found, Room, time_of
from instances.channels.xmpp.servers import connect
from instances.channels.xmpp.session import Session
from instances.channels.xmpp.stream import MAM, MESSAGE, XmppStream
from instances.channels.xmpp.xml import element
from instances.models import AccountStatus, Substatus
from instances.received_events import MessageReceived, MessageTyped, ReceivedEvent, StatusReported

log = logging.getLogger(__name__)

AT_ONCE = 100  # stanzas that are recorded together
ENTRY_SECONDS = 60.0  # between two tries to enter a room that is not available
# For a page of a room's archive. Live stanzas wait for it, and a room may be at any server.
ROOM_SECONDS = 10.0
ROOM_PAUSE = 600.0  # s between two tries to read an archive of a room that does not respond
ARCHIVE_PAUSE = 600.0  # s until the account's archive is read again after a temporary error
MAX_KEYS = 5_000  # of messages of archives that are remembered
RECEIPTS, HINTS = "urn:xmpp:receipts", "urn:xmpp:hints"


@dataclass
class Cursor:
    """How far events are recorded, and the rooms that the account is in."""

    archive_id: str = ""
    stamp: str = ""  # when the link began, for a server whose archive was empty or has forgotten the id
    rooms: dict[str, Room] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, link: Link) -> Cursor:
        if not text:
            return cls(link.options.get("archive_id", ""), link.options.get("since", ""))
        found: dict[str, Any] = json.loads(text)
        rooms = {
            jid: Room(jid, nick, password, was_entered=True, archive_id=at, stamp=stamp)
            for jid, nick, password, at, stamp in found["rooms"]
        }
        return cls(found["id"], found["at"], rooms)

    def __str__(self) -> str:
        rooms = [
            [room.jid, room.nick, room.password, room.archive_id, room.stamp]
            for room in self.rooms.values()
            if room.was_entered
        ]
        return json.dumps({"id": self.archive_id, "at": self.stamp, "rooms": rooms}, separators=(",", ":"))


def resource_of(link: Link) -> str:
    """Returns the resource of the instance: the same for each connection."""
    return f"chat-api-{hashlib.sha256(str(link.number).encode()).hexdigest()[:12]}"


async def receive(link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
    """See instances.channels.receiving.Receiving."""
    stream = await connect(
        network,
        jid=link.external_id,
        password=link.credentials.get("password", ""),
        host=link.options.get("host", ""),
        port=link.options.get("port", ""),
        resource=resource_of(link),
    )
    try:
        receiver = Receiver(link, Cursor.parse(cursor, link), stream)
        async with contextlib.aclosing(receiver.batches()) as batches:
            async for batch in batches:
                yield batch
    finally:
        await stream.close()


class Receiver:
    """One connection, from its cursor on."""

    def __init__(self, link: Link, cursor: Cursor, stream: XmppStream) -> None:
        self.cursor, self.stream = cursor, stream
        self.session = Session(link, stream, cursor.rooms)
        # When the archive is read again. Until then the cursor stays: what is missing is before the live messages.
        self.archive_due: float | None = None
        self.from_archive: set[tuple[str, str]] = set()  # messages that this connection has read there

    async def batches(self) -> AsyncGenerator[Batch]:
        session = self.session
        try:
            await session.begin()
            session.rooms.enter_again()
            if MAM in session.services.features:
                async with contextlib.aclosing(self.read_archive()) as pages:
                    async for batch in pages:
                        yield batch
            session.finding = session.start(session.services.find())
            is_back = StatusReported(AccountStatus.AUTHENTICATED, Substatus.NORMAL)
            yield Batch(str(self.cursor), [is_back], session)
            async with contextlib.aclosing(self.read_live()) as live:
                async for batch in live:
                    yield batch
        finally:
            session.end()

    async def read_live(self) -> AsyncGenerator[Batch]:
        """Yields what comes, as long as the stream is open; between that, a page of the archive of a room.

        Raises what ended the stream; ReceiveFailed if the account's archive has to be read again.
        """
        loop, session = asyncio.get_running_loop(), self.session
        next_entry = loop.time() + ENTRY_SECONDS
        while True:
            if self.archive_due is not None and loop.time() >= self.archive_due:
                raise ReceiveFailed("The archive could not be read, and is read again.")
            room = self.room_to_read(loop.time())
            stanzas = (
                await self.stream.take_all(AT_ONCE) if room is None else self.stream.take_waiting(AT_ONCE)
            )
            taken = self.stream.taken
            found = [each for stanza in stanzas if (each := self.handle(stanza))]
            events = [each.event for each in found if each.event]
            # After the messages: those who have left are no participants, also if they wrote before.
            yield Batch(str(self.cursor), [*events, *session.groups.reports()])
            self.stream.mark_recorded(taken)
            self.give_receipts(found)
            self.accept_invitations(found)
            if room is not None and (missed := await self.read_room(room)) is not None:
                session.groups.report_again(room)
                yield Batch(str(self.cursor), [*missed, *session.groups.reports()])
            if loop.time() >= next_entry:
                next_entry = loop.time() + ENTRY_SECONDS
                session.rooms.enter_again()

    def handle(self, stanza: Element) -> Found | None:
        """Returns what a message means; handles the rest. What cannot be handled is left out: others must not wait."""
        try:
            if stanza.tag != MESSAGE:
                self.session.handle(stanza)
                return None
            self.session.rooms.note_message(stanza)
            found = self.session.reader.read(stanza)
            if found.failed and self.session.note_failed(found.failed, stanza):
                found.event = None  # its sender learns why; it is not recorded as sent
            self.note(found, stanza)
        except Exception:
            log.exception("instance %s: a stanza was left out", self.session.link.number)
            return None
        if found.event is not None and identity_of(found.event) in self.from_archive:
            found.event = None  # it came while the archive was read
        return found

    def note(self, found: Found, message: Element) -> None:
        """Move the cursor, and remember what was sent."""
        if found.sent:
            self.session.note_sent(found.sent, found.archive_id)
        room = self.cursor.rooms.get(found.sender)
        if room is None and self.archive_due is not None:
            return
        if room is None:
            own = self.session.reader.archive_id(message, self.stream.own)
            self.cursor.archive_id = own or self.cursor.archive_id
        elif not room.is_behind:
            room.archive_id = found.archive_id or room.archive_id
            room.stamp = a_minute_ago()

    def accept_invitations(self, found: Sequence[Found]) -> None:
        """Enter the rooms that the account is invited to, after that is recorded."""
        for each in found:
            invitation = each.invitation
            if invitation and invitation.room not in self.cursor.rooms and self.session.may_meet():
                self.session.start(self.enter(invitation.room, invitation.password))

    async def enter(self, room: str, password: str) -> None:
        try:
            await self.session.rooms.enter(room, password=password)
        except ReceiveFailed as error:
            log.info("An invitation to a room was not accepted: %s", error)

    def give_receipts(self, found: Sequence[Found]) -> None:
        """Tell those who asked that their messages have arrived, after they are recorded."""
        for each in found:
            if each.receipt:
                received = element(f"{{{RECEIPTS}}}received", {"id": each.receipt})
                stanza = element(
                    "message", {"to": each.sender, "type": "chat"}, "", received, element(f"{{{HINTS}}}store")
                )
                with contextlib.suppress(NotSent):
                    self.stream.send(stanza)

    # -- archives

    async def read_archive(self) -> AsyncGenerator[Batch]:
        """Yields what the archive has since the cursor."""
        try:
            async for page in read_after(
                self.stream, "", after=self.cursor.archive_id, start=self.cursor.stamp
            ):
                found = [each for archived in page.messages if (each := self.read_archived(archived))]
                events = self.new_events(found)
                if page.messages:
                    self.cursor.archive_id = page.messages[-1].id
                yield Batch(str(self.cursor), events)
                self.give_receipts(found)
                self.accept_invitations(found)
        except StanzaRefused as error:
            log.warning("instance %s: the archive was not read: %s", self.session.link.number, error)
            if error.is_temporary:
                self.archive_due = asyncio.get_running_loop().time() + ARCHIVE_PAUSE

    def room_to_read(self, now: float) -> Room | None:
        """Returns the room whose archive has waited longest to be read."""
        behind = [room for room in self.cursor.rooms.values() if room.is_behind and room.is_entered]
        return min(
            (room for room in behind if room.read_at <= now), key=lambda room: room.read_at, default=None
        )

    async def read_room(self, room: Room) -> list[ReceivedEvent] | None:
        """Returns the events of the next page of a room's archive, and moves its cursor; None without a page.

        A room that does not respond is asked again later: its cursor stays, and the connection too.
        """
        after, loop = room.archive_id, asyncio.get_running_loop()
        room.read_at = loop.time()
        try:
            page = await read_page(
                self.stream, room.jid, after=after, start="" if after else room.stamp, seconds=ROOM_SECONDS
            )
        except StanzaRefused as error:
            if error.condition == "item-not-found" and after and room.stamp:
                room.archive_id = ""  # the archive does not know the id any more: it is read since the time
                return None
            if error.is_temporary:
                room.read_at = loop.time() + ROOM_PAUSE
            else:
                room.is_behind = False
            log.info("instance %s: the archive of a room was not read: %s", self.session.link.number, error)
            return None
        except ReceiveFailed as error:
            room.read_at = loop.time() + ROOM_PAUSE
            log.warning(
                "instance %s: the archive of a room was not read: %s", self.session.link.number, error
            )
            return None
        found = [each for archived in page.messages if (each := self.read_archived(archived, room.jid))]
        events = self.new_events(found)
        room.is_behind = not page.is_complete and bool(page.messages) and page.last not in ("", after)
        if page.messages:
            room.archive_id = page.last or page.messages[-1].id
            room.stamp = page.messages[-1].stamp if time_of(page.messages[-1].stamp) else room.stamp
        return events

    def new_events(self, found: Sequence[Found]) -> list[ReceivedEvent]:
        """Returns the events of messages of an archive, and remembers them: they may have come on the stream too."""
        events = [each.event for each in found if each.event is not None]
        if len(self.from_archive) > MAX_KEYS:
            self.from_archive.clear()
        self.from_archive.update(filter(None, map(identity_of, events)))
        return events

    def read_archived(self, archived: Archived, room: str = "") -> Found | None:
        """Returns what a message of an archive means; "" is the account's. One that cannot be read is left out."""
        reader, fields = self.session.reader, (archived.message, archived.id, archived.stamp)
        try:
            return reader.read_of_room(room, *fields) if room else reader.read_message(*fields)
        except Exception:
            log.exception("instance %s: an archived message was left out", self.session.link.number)
            return None


def identity_of(event: ReceivedEvent) -> tuple[str, str] | None:
    """Returns the chat and the key of a message; None for other events. Others may use the same key in their chats."""
    match event:
        case MessageReceived():
            return event.chat_id or event.sender, event.key
        case MessageTyped():
            return event.chat_id, event.key
    return None


def a_minute_ago() -> str:
    """Returns the time from which a room's messages are read again: its clock may be another than this one."""
    return (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
