"""One account while it is connected: responds to others, and sends what the gateway brings.

It is the channel's OpenStream (channels/open_streams.py). Requests of senders are handled between the stanzas that
come, in the same event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import OrderedDict
from collections.abc import Coroutine
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element

from instances.channels.open_streams import StreamReply
from instances.channels.receiving import ReceiveFailed
from instances.channels.requests import Link
from instances.channels.xmpp import jids
from instances.channels.xmpp.archive import read_back
from instances.channels.xmpp.errors import (
    STANZA_ERRORS,
    NotSent,
    StanzaRefused,
    error_in,
    error_stanza,
    sentence_of,
)
from instances.channels.xmpp.groups import Groups
from instances.channels.xmpp.reading import MUC, OWN_ID, Reader, Room, time_of
from instances.channels.xmpp.rooms import Rooms
from instances.channels.xmpp.sending import AGAIN, UPLOAD, is_header
from instances.channels.xmpp.services import DISCO_INFO, Services
from instances.channels.xmpp.stream import IQ, MESSAGE, PRESENCE, XmppStream, normal
from instances.channels.xmpp.xml import BadXml, child, element, parse, shown, to_bytes

log = logging.getLogger(__name__)

CARBONS, PING = "urn:xmpp:carbons:2", "urn:xmpp:ping"
FEATURES = (
    DISCO_INFO, PING, "urn:xmpp:receipts", "urn:xmpp:chat-markers:0", "urn:xmpp:reply:0", "urn:xmpp:reactions:0",
    CARBONS, MUC, "jabber:x:conference", "urn:xmpp:message-correct:0", "urn:xmpp:message-retract:1", "jabber:x:oob",
    "http://jabber.org/protocol/geoloc", "urn:xmpp:sid:0",
)  # fmt: skip
MAX_SENT = 1_000  # ids of sent messages that are remembered
LOOK_BACK_IN_CHAT = (
    1_000  # messages, receipts and the like, in which one that may have been sent is looked for
)
CLOCKS_DIFFER = timedelta(minutes=5)  # at most, the server's and the database's
ROUNDED = timedelta(seconds=1)  # the server's start, and the stamps of an archive
MAX_NEW_CONTACTS = 500  # subscriptions and invitations that are accepted while the account is connected
REFLECTION_SECONDS = 5.0  # for a room to show a message to its sender


def reply_with(status: int, **values: Any) -> StreamReply:
    return StreamReply(status, json.dumps(values).encode())


def refusal(error: Element) -> StreamReply:
    """Returns the response with an error that came back."""
    condition, kind, said = error_in(error)
    return reply_with(
        422, error=sentence_of(condition, said), condition=condition, type=kind, stanza=shown(error)[:4_000]
    )


CLOSED = "The connection to the server was closed."
TOO_LONG = "the message is longer than the server accepts"
NO_STORE = "The server has no file store (XEP-0363), so it takes no files."


class Session:
    """`rooms` are those that the account is in, or enters again."""

    def __init__(self, link: Link, stream: XmppStream, rooms: dict[str, Room]) -> None:
        self.link, self.stream = link, stream
        self.reader = Reader(stream.own, rooms)
        self.groups = Groups(stream, self.reader, self.start)
        self.rooms = Rooms(stream, self.reader, rooms, self.groups)
        self.services = Services(link, stream)
        self.finding: asyncio.Task[None] | None = None  # of services
        # by id: the id by which others name it, once the server has it
        self.sent: OrderedDict[str, asyncio.Future[str]] = OrderedDict()
        self.unconfirmed: dict[str, Element] = {}  # messages by id, until the server has them or refuses them
        self.new_contacts = 0
        self.tasks: set[asyncio.Task[None]] = set()

    # -- begin

    async def begin(self) -> None:
        """Become available: from now on, messages come. Raises ReceiveFailed."""
        if CARBONS in await self.services.find_features():
            with contextlib.suppress(StanzaRefused):
                await self.stream.iq("set", "", element(f"{{{CARBONS}}}enable"))
        self.stream.send(element("presence"))

    # -- what comes besides messages

    def handle(self, stanza: Element) -> None:
        """Handle a presence, or a request of others."""
        try:
            if stanza.tag == PRESENCE:
                self.handle_presence(stanza)
            elif stanza.tag == IQ:
                self.stream.send(self.response_to(stanza))
        except NotSent:
            pass  # reading ends with the reason

    def response_to(self, request: Element) -> Element:
        """Returns the response to a request: what this client is, or that it does not do this."""
        to, key, kind = request.get("from", ""), request.get("id", ""), request.get("type")
        payload = next(iter(request), None)
        tag = payload.tag if payload is not None else ""
        if kind == "get" and tag == f"{{{DISCO_INFO}}}query" and payload is not None:
            identity = element(
                f"{{{DISCO_INFO}}}identity", {"category": "client", "type": "bot", "name": "Chat API"}
            )
            features = [element(f"{{{DISCO_INFO}}}feature", {"var": name}) for name in FEATURES]
            query = element(tag, {"node": payload.get("node", "")}, "", identity, *features)
            return element("iq", {"type": "result", "to": to, "id": key}, "", query)
        is_roster = kind == "set" and tag == "{jabber:iq:roster}query"
        if (kind == "get" and tag == f"{{{PING}}}ping") or (
            is_roster and jids.bare(to) in ("", self.stream.own)
        ):
            return element("iq", {"type": "result", "to": to, "id": key})
        error = element("error", {"type": "cancel"}, "", element(f"{{{STANZA_ERRORS}}}service-unavailable"))
        return element("iq", {"type": "error", "to": to, "id": key}, "", error)

    def handle_presence(self, presence: Element) -> None:
        sender, kind = normal(presence.get("from", "")), presence.get("type", "")
        room = self.rooms.by_jid.get(jids.bare(sender))
        if not jids.is_jid(sender):
            return
        if room is not None:
            self.rooms.handle_occupant(room, jids.resource(sender), kind, presence)
        elif kind == "subscribe" and jids.bare(sender) != self.stream.own and self.may_meet():
            to = jids.bare(sender)
            self.stream.send(element("presence", {"to": to, "type": "subscribed"}))
            self.stream.send(element("presence", {"to": to, "type": "subscribe"}))

    def may_meet(self) -> bool:
        """Count an invitation or a subscription; returns whether it is accepted: strangers could make thousands."""
        self.new_contacts += 1
        if self.new_contacts == MAX_NEW_CONTACTS + 1:
            log.warning("instance %s: further contacts are not accepted", self.link.number)
        return self.new_contacts <= MAX_NEW_CONTACTS

    # -- what was sent

    def note_sent(self, key: str, name: str = "") -> None:
        """Remember a message that has arrived at the server, by the id by which others name it."""
        future = self.sent.get(key)
        if future is None:
            future = self.remember(key)
        if not future.done():
            future.set_result(name or key)

    def remember(self, key: str) -> asyncio.Future[str]:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.sent[key] = future
        while len(self.sent) > MAX_SENT:
            self.sent.popitem(last=False)
        return future

    # -- requests of senders

    async def call(self, action: str, body: bytes) -> StreamReply:
        """See instances.channels.open_streams.OpenStream."""
        try:
            stanza = parse(body)
        except BadXml as error:
            return reply_with(400, error=str(error))
        try:
            match action:
                case "message" if is_own_message(stanza):
                    return await self.send_message(stanza)
                case "message-again" if (
                    stanza.tag == AGAIN
                    and len(stanza) == 1
                    and is_own_message(stanza[0])
                    and (since := time_of(stanza.get("since", "")))
                ):
                    return await self.send_message(stanza[0], tried_since=since)
                case "slot":
                    return await self.request_slot(stanza)
                case "send":
                    self.stream.send(stanza)
                    return reply_with(200)
                case "iq" if stanza.tag == IQ and len(stanza) == 1:
                    response = await self.stream.iq(
                        stanza.get("type", "get"), stanza.get("to", ""), stanza[0]
                    )
                    return reply_with(200, stanza=shown(response))
                case "enter":
                    return await self.call_enter(stanza)
                case "leave":
                    return self.call_leave(stanza)
        except StanzaRefused as error:
            return refusal(error.stanza)
        except ReceiveFailed as error:
            return StreamReply(503, json.dumps({"error": str(error)}).encode(), retry_after=1)
        return reply_with(404, error="This connection does not know this request.")

    async def send_message(self, stanza: Element, *, tried_since: datetime | None = None) -> StreamReply:
        """Send a message, unless it was sent before, and wait until the server has it.

        If the request ends before, the next one with the same message waits for the same result. An earlier connection
        may have sent it after `tried_since`.
        """
        key = stanza.get("id", "")
        future = self.sent.get(key)
        if future is None:
            future = self.remember(key)
            self.start(self.send_first(stanza, future, tried_since))
        return reply_with(200, id=await asyncio.shield(future))

    async def send_first(
        self, stanza: Element, future: asyncio.Future[str], tried_since: datetime | None
    ) -> None:
        """Send a message that this connection has not sent yet, and set the result."""
        key, to = stanza.get("id", ""), jids.bare(stanza.get("to", ""))
        is_group = stanza.get("type") == "groupchat"
        self.unconfirmed[key] = stanza
        try:
            room = self.rooms.by_jid.get(to)
            if is_group and not (room and room.is_entered):
                presence = await self.rooms.enter(to)
                if presence.get("type") == "error":
                    raise StanzaRefused(presence)
            if tried_since:
                await self.look_for(key, to, tried_since, is_group=is_group)
            if future.done():
                return
            if len(to_bytes(stanza)) > self.stream.max_bytes:
                raise StanzaRefused(error_stanza("message", "policy-violation", TOO_LONG))
            acked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.stream.send(stanza, acked)
            if self.stream.has_acks:
                await acked
            else:  # the server handles the stanzas of a stream in order
                await self.stream.ping()
            await asyncio.wait([future], timeout=REFLECTION_SECONDS if is_group else 0)
            if not future.done():  # neither shown by the room, nor refused
                future.set_result(key)
        except asyncio.CancelledError:
            self.end_sending(key, NotSent(CLOSED))
            raise
        except Exception as error:  # noqa: BLE001 - the request that waits for it gets the reason
            self.end_sending(key, error)
        finally:
            if self.unconfirmed.get(key) is stanza:  # it may be sent again already
                del self.unconfirmed[key]

    async def look_for(self, key: str, chat: str, since: datetime, *, is_group: bool) -> None:
        """Note that the message was sent, if the archive has it among the messages of this chat since then.

        After a sender was killed, hundreds of messages may have come before another one tries again.

        A server that dies may have archived a message, and not sent it on: the last one before a kill of Prosody was
        found in the archive of its sender alone. So what is from before the server's start does not count. A room of
        another server has its own archive and clock: what is there has left the account's server.
        """
        of, with_chat = (chat, "") if is_group else ("", chat)
        begin = since - CLOCKS_DIFFER
        is_here = not is_group or self.reader.is_at_own_server(chat)
        if is_here and (started := await self.services.started_at()):
            begin = max(begin, started + ROUNDED)
        with contextlib.suppress(StanzaRefused):  # there is no archive
            async with contextlib.aclosing(
                read_back(self.stream, of, chat=with_chat, most=LOOK_BACK_IN_CHAT)
            ) as pages:
                async for page in pages:
                    recent = [each for each in page.messages if (time_of(each.stamp) or begin) >= begin]
                    for each in recent:
                        fields = (each.message, each.id, each.stamp)
                        read = (
                            self.reader.read_message
                            if not is_group
                            else partial(self.reader.read_of_room, of)
                        )
                        found = read(*fields)
                        if found.sent == key:
                            self.note_sent(key, found.archive_id)
                            return
                    if len(recent) < len(page.messages):
                        return

    def end_sending(self, key: str, error: Exception) -> None:
        """Give the reason to the requests that wait, and let the message be sent again."""
        future = self.sent.pop(key, None)
        if future is not None and not future.done():
            future.set_exception(error)
            future.exception()  # the request may have ended: then it is of no interest

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run this until it ends, or until the connection does."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def end(self) -> None:
        for task in list(self.tasks):
            task.cancel()

    def note_failed(self, key: str, error: Element) -> bool:
        """Note that a message came back; returns whether its sender still waits for it, and so learns why.

        Everyone in a room sees the id of a message there: only the room itself can refuse it.
        """
        future, message = self.sent.get(key), self.unconfirmed.get(key)
        if future is None or future.done() or message is None or not is_from_recipient(error, message):
            return False
        self.end_sending(key, StanzaRefused(error))
        return True

    async def request_slot(self, wanted: Element) -> StreamReply:
        """Ask the file store for a place for a file (XEP-0363)."""
        if not self.services.upload and self.finding is not None:
            await asyncio.wait([self.finding])
        if not self.services.upload:
            return reply_with(422, error=NO_STORE, condition="feature-not-implemented")
        size = wanted.get("size", "0")
        if self.services.upload_max and size.isdecimal() and int(size) > self.services.upload_max:
            limit = self.services.upload_max // 1024
            return reply_with(
                422, error=f"The server takes files of at most {limit} KB.", condition="not-acceptable"
            )
        response = await self.stream.iq("get", self.services.upload, wanted)
        slot = child(response, f"{{{UPLOAD}}}slot")
        put, get = child(slot, f"{{{UPLOAD}}}put"), child(slot, f"{{{UPLOAD}}}get")
        if put is None or get is None:
            return reply_with(502, error="The server's slot for the file cannot be read.")
        headers = {
            each.get("name", ""): (each.text or "").strip()
            for each in put
            if each.tag == f"{{{UPLOAD}}}header"
        }
        headers = {name: value for name, value in headers.items() if is_header(name, value)}
        return reply_with(200, put=put.get("url", ""), get=get.get("url", ""), headers=headers)

    async def call_enter(self, presence: Element) -> StreamReply:
        """Enter the room of a presence."""
        to = normal(presence.get("to", ""))
        found = await self.rooms.enter(jids.bare(to), jids.resource(to), may_create=True)
        if found.get("type") == "error":
            return refusal(found)
        return reply_with(200, stanza=shown(found))

    def call_leave(self, presence: Element) -> StreamReply:
        """Leave the room of a presence."""
        room = self.rooms.by_jid.get(jids.bare(presence.get("to", "")))
        if room is not None:
            self.stream.send(element("presence", {"to": f"{room.jid}/{room.nick}", "type": "unavailable"}))
            self.rooms.forget(room)
        return reply_with(200)


def is_own_message(stanza: Element) -> bool:
    """Whether it is a message with an id of this product."""
    return stanza.tag == MESSAGE and OWN_ID.fullmatch(stanza.get("id", "")) is not None


def is_from_recipient(error: Element, message: Element) -> bool:
    """Returns whether an error comes from the recipient of a message, or on behalf of it."""
    sender, to = normal(error.get("from", "")), normal(message.get("to", ""))
    if message.get("type") == "groupchat" or jids.resource(to):
        return sender in (to, jids.bare(to))
    return jids.bare(sender) == to
