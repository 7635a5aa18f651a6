"""One account while it is connected: enters its rooms, follows its archive, and sends what the gateway brings.

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
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from instances.channels.open_streams import StreamReply
from instances.channels.receiving import ReceiveFailed
from instances.channels.requests import Link
from instances.channels.xmpp import jids
from instances.channels.xmpp.errors import STANZA_ERRORS, NotSent, StanzaRefused, error_in, sentence_of
from instances.channels.xmpp.reading import MUC_USER, OWN_ID, Reader, Room
from instances.channels.xmpp.sending import UPLOAD, is_header
from instances.channels.xmpp.stream import IQ, IQ_SECONDS, MESSAGE, PRESENCE, XmppStream, normal
from instances.channels.xmpp.xml import BadXml, child, child_text, element, parse, shown, to_bytes

log = logging.getLogger(__name__)

MUC, DISCO_INFO, DISCO_ITEMS = (
    "http://jabber.org/protocol/muc",
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/disco#items",
)
CARBONS, PING, VERSION = "urn:xmpp:carbons:2", "urn:xmpp:ping", "jabber:iq:version"
FEATURES = (
    DISCO_INFO, PING, "urn:xmpp:receipts", "urn:xmpp:chat-markers:0", "urn:xmpp:reply:0", "urn:xmpp:reactions:0",
    CARBONS, MUC, "jabber:x:conference", "urn:xmpp:message-correct:0", "urn:xmpp:message-retract:1", "jabber:x:oob",
    "http://jabber.org/protocol/geoloc", "urn:xmpp:sid:0",
)  # fmt: skip
ENTRY_SECONDS = 15.0  # for a room to let the account in
MAX_SERVICES, SERVICE_SECONDS = 20, 5.0  # of a server that are asked what they are
MAX_ROOMS = 300
MAX_NICK = 60  # characters of a nickname, with an underscore for each person who has the same
# Errors of a room after which the account does not try to enter it again.
FINAL = ("forbidden", "registration-required", "not-authorized", "item-not-found", "gone", "not-allowed")
MAX_SENT = 1_000  # ids of sent messages that are remembered
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


@dataclass
class Services:
    """What the server offers."""

    features: frozenset[str] = frozenset()  # of the account itself
    upload: str = ""  # the JID of the file store
    upload_max: int = 0  # bytes; 0: it does not say
    rooms: str = ""  # the JID of a service for rooms


class Session:
    """`rooms` are those that the account is in, or enters again."""

    def __init__(self, link: Link, stream: XmppStream, rooms: dict[str, Room]) -> None:
        self.link, self.stream, self.rooms = link, stream, rooms
        self.reader = Reader(stream.own, rooms)
        self.services = Services(
            upload=link.options.get("upload", ""),
            upload_max=int(link.options.get("largest_file") or 0),
            rooms=link.options.get("rooms", ""),
        )
        self.finding: asyncio.Task[None] | None = None  # of services
        # by id: the id by which others name it, once the server has it
        self.sent: OrderedDict[str, asyncio.Future[str]] = OrderedDict()
        self.new_contacts = 0
        self.entering: dict[str, asyncio.Future[Element]] = {}  # rooms, until the own presence is there
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def nick(self) -> str:
        return jids.local(self.stream.own) or "chat-api"

    # -- begin

    async def begin(self) -> None:
        """Become available: from now on, messages come. Raises ReceiveFailed."""
        if CARBONS in await self.account_features():
            with contextlib.suppress(StanzaRefused):
                await self.stream.iq("set", "", element(f"{{{CARBONS}}}enable"))
        self.stream.send(element("presence"))

    async def account_features(self) -> frozenset[str]:
        """Returns the features of the server and of the account's own address there."""
        found: set[str] = set()
        for to in (self.stream.domain, self.stream.own):
            with contextlib.suppress(StanzaRefused):
                found |= await self.features_of(to)
        self.services.features = frozenset(found)
        return self.services.features

    async def features_of(self, jid: str) -> set[str]:
        """Returns the features of a JID. Raises StanzaRefused, ReceiveFailed."""
        return features_in(await self.info_of(jid))

    async def info_of(self, jid: str, *, seconds: float = IQ_SECONDS) -> Element | None:
        response = await self.stream.iq("get", jid, element(f"{{{DISCO_INFO}}}query"), seconds=seconds)
        return child(response, f"{{{DISCO_INFO}}}query")

    async def find_services(self) -> None:
        """Find the server's file store and its rooms, all its services at once: some may not respond."""
        try:
            response = await self.stream.iq("get", self.stream.domain, element(f"{{{DISCO_ITEMS}}}query"))
        except (StanzaRefused, ReceiveFailed):
            return
        items = child(response, f"{{{DISCO_ITEMS}}}query")
        names = [self.stream.domain, *(each.get("jid", "") for each in (items if items is not None else ()))]
        await asyncio.gather(*(self.note_service(jid) for jid in dict.fromkeys(names[:MAX_SERVICES])))

    async def note_service(self, jid: str) -> None:
        with contextlib.suppress(StanzaRefused, ReceiveFailed):
            info = await self.info_of(jid, seconds=SERVICE_SECONDS)
            features = features_in(info)
            if UPLOAD in features and not self.services.upload:
                self.services.upload, self.services.upload_max = jid, max_size_in(info)
            if MUC in features and not self.services.rooms and jid != self.stream.domain:
                self.services.rooms = jid

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
        room = self.rooms.get(jids.bare(sender))
        if not jids.is_jid(sender):
            return
        if room is not None:
            self.handle_occupant(room, jids.resource(sender), kind, presence)
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

    # -- rooms

    def handle_occupant(self, room: Room, nick: str, kind: str, presence: Element) -> None:
        user = child(presence, f"{{{MUC_USER}}}x")
        codes = statuses_of(presence)
        item = child(user, f"{{{MUC_USER}}}item")
        is_self = "110" in codes or nick == room.nick
        if kind == "error":
            self.note_entry(room, presence)
        elif kind == "unavailable":
            room.people.pop(nick, None)
            if is_self and "303" in codes and item is not None:
                new = item.get("nick", "")
                room.nick = new if jids.is_jid(f"{room.jid}/{new}") else room.nick
            elif is_self:
                room.is_entered = False
                if codes & {"301", "307", "321", "322"} or child(user, f"{{{MUC_USER}}}destroy") is not None:
                    self.forget(room)  # banned, removed, or the room is gone
        elif kind == "":
            if item is not None:
                self.reader.learn_person(room, nick, item.get("jid", ""))
            if is_self:
                room.nick = nick
                self.note_entry(room, presence)

    def note_entry(self, room: Room, presence: Element) -> None:
        """Note that the account is in the room, or why it is not."""
        is_first = not room.is_entered
        room.is_entered = presence.get("type") != "error"
        room.was_entered = room.was_entered or room.is_entered
        condition = "" if room.is_entered else error_in(presence)[0]
        future = self.entering.get(room.jid)
        if condition == "conflict" and len(room.nick) < MAX_NICK:
            room.nick += "_"
            self.stream.send(self.entry(room))
        elif future is not None and not future.done():
            future.set_result(presence)
        elif condition in FINAL:
            self.forget(room)
        if room.is_entered and is_first and room.archive_id:
            room.is_behind, room.read_at = True, 0.0

    def forget(self, room: Room) -> None:
        self.rooms.pop(room.jid, None)

    async def enter(
        self, jid: str, nick: str = "", password: str = "", *, may_create: bool = False
    ) -> Element:
        """Enter a room and returns the own presence there, or the error.

        Servers create a room that is not there: it is left at once, unless `may_create`. Raises ReceiveFailed.
        """
        if (entering := self.entering.get(jid)) is not None:
            return await asyncio.shield(entering)
        room, is_new = self.rooms.get(jid), jid not in self.rooms
        if room is None:
            if len(self.rooms) >= MAX_ROOMS:
                raise ReceiveFailed(f"The account is in {MAX_ROOMS} rooms already.")
            room = self.rooms[jid] = Room(jid, nick or self.nick, password)
        future: asyncio.Future[Element] = asyncio.get_running_loop().create_future()
        self.entering[jid] = future
        try:
            self.stream.send(self.entry(room))
            async with asyncio.timeout(ENTRY_SECONDS):
                presence = await asyncio.shield(future)
        except (TimeoutError, NotSent, asyncio.CancelledError) as error:
            future.cancel()
            if is_new:
                self.forget(room)
            if isinstance(error, asyncio.CancelledError):
                raise
            raise ReceiveFailed("The room does not respond.") from None
        finally:
            self.entering.pop(jid, None)
        if "201" in statuses_of(presence) and not may_create:
            self.stream.send(element("presence", {"to": f"{jid}/{room.nick}", "type": "unavailable"}))
            presence = error_stanza("presence", "item-not-found")
        if presence.get("type") == "error" and (is_new or error_in(presence)[0] in FINAL):
            self.forget(room)
        return presence

    def entry(self, room: Room) -> Element:
        """Returns the presence that enters a room. Without an archive it asks for the messages since the last one."""
        since = {"since": room.stamp} if room.stamp and not room.archive_id else {"maxstanzas": "0"}
        password = [element(f"{{{MUC}}}password", None, room.password)] if room.password else []
        history = element(f"{{{MUC}}}history", since)
        return element(
            "presence",
            {"to": f"{room.jid}/{room.nick}"},
            "",
            element(f"{{{MUC}}}x", None, "", history, *password),
        )

    def enter_again(self) -> None:
        """Enter the rooms that the account should be in, and is not. Raises NotSent."""
        for room in self.rooms.values():
            if not room.is_entered and room.jid not in self.entering:
                self.stream.send(self.entry(room))

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
                case "message" if stanza.tag == MESSAGE and OWN_ID.fullmatch(stanza.get("id", "")):
                    return await self.send_message(stanza)
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

    async def send_message(self, stanza: Element) -> StreamReply:
        """Send a message, unless it was sent before, and wait until the server has it.

        If the request ends before, the next one with the same message waits for the same result.
        """
        key = stanza.get("id", "")
        future = self.sent.get(key)
        if future is None:
            future = self.remember(key)
            self.start(self.send_first(stanza, future))
        return reply_with(200, id=await asyncio.shield(future))

    async def send_first(self, stanza: Element, future: asyncio.Future[str]) -> None:
        """Send a message that this connection has not sent yet, and set the result."""
        key, to = stanza.get("id", ""), jids.bare(stanza.get("to", ""))
        is_group = stanza.get("type") == "groupchat"
        try:
            if is_group and not (to in self.rooms and self.rooms[to].is_entered):
                presence = await self.enter(to)
                if presence.get("type") == "error":
                    raise StanzaRefused(presence)
            if len(to_bytes(stanza)) > self.stream.max_bytes:
                raise StanzaRefused(error_stanza("message", "policy-violation", TOO_LONG))
            acked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.stream.send(stanza, acked)
            if self.stream.has_acks:
                await acked
            else:  # the server handles the stanzas of a stream in order
                await self.stream.ping()
            await asyncio.wait([future], timeout=REFLECTION_SECONDS if is_group else 0)
            self.note_sent(key)
        except asyncio.CancelledError:
            self.end_sending(key, NotSent(CLOSED))
            raise
        except Exception as error:  # noqa: BLE001 - the request that waits for it gets the reason
            self.end_sending(key, error)

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
        """Note that a message came back; returns whether its sender still waits for it, and so learns why."""
        future = self.sent.get(key)
        if future is None or future.done():
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
        found = await self.enter(jids.bare(to), jids.resource(to), may_create=True)
        if found.get("type") == "error":
            return refusal(found)
        return reply_with(200, stanza=shown(found))

    def call_leave(self, presence: Element) -> StreamReply:
        """Leave the room of a presence."""
        room = self.rooms.get(jids.bare(presence.get("to", "")))
        if room is not None:
            self.stream.send(element("presence", {"to": f"{room.jid}/{room.nick}", "type": "unavailable"}))
            self.forget(room)
        return reply_with(200)


def statuses_of(presence: Element) -> set[str]:
    """Returns the codes by which a room describes a presence."""
    user = child(presence, f"{{{MUC_USER}}}x")
    return {
        each.get("code", "") for each in (user if user is not None else ()) if each.tag.endswith("}status")
    }


def error_stanza(kind: str, condition: str, said: str = "") -> Element:
    """Returns an error as a server would send it."""
    text = [element(f"{{{STANZA_ERRORS}}}text", None, said)] if said else []
    error = element("error", {"type": "cancel"}, "", element(f"{{{STANZA_ERRORS}}}{condition}"), *text)
    return element(kind, {"type": "error"}, "", error)


def features_in(info: Element | None) -> set[str]:
    return {
        each.get("var", "") for each in (info if info is not None else ()) if each.tag.endswith("}feature")
    }


def max_size_in(info: Element | None) -> int:
    """Returns the largest file that a file store takes, in bytes; 0 if it does not say."""
    for form in info if info is not None else ():
        for each in form:
            value = child_text(each, "{jabber:x:data}value")
            if each.get("var") == "max-file-size" and value.isdecimal() and len(value) < 16:
                return int(value)
    return 0
