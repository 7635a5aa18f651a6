"""A person's XMPP client, slixmpp, in a thread of its own: writes, answers receipts, and records what it gets.

Two clients of one account are two devices: what one sends, the other gets as a carbon copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from xml.etree import ElementTree as ET

import requests
import slixmpp

from tests.servers.prosody import DOMAIN, ROOMS, UPLOADS, Account

WAIT_SECONDS = 120.0
DELIVERY_ATTEMPTS = 1_500  # each after 0.2 s or more
PLUGINS = (30, 45, 66, 77, 80, 85, 184, 198, 199, 203, 249, 280, 297, 308, 313, 333, 359, 424, 428, 444, 461)
OUT_OF_BAND, GEO = "{jabber:x:oob}x", "{http://jabber.org/protocol/geoloc}"
GEOLOC = f"{GEO}geoloc"
REPLY, ORIGIN = "{urn:xmpp:reply:0}reply", "{urn:xmpp:sid:0}origin-id"
UPLOAD, ADMIN = "{urn:xmpp:http:upload:0}", "{http://jabber.org/protocol/muc#admin}"
T = TypeVar("T")


@dataclass(frozen=True)
class Received:
    """A message that the client has got, from others or, as a carbon copy, from the account's other client."""

    id: str
    sender: str  # the full JID; in a room its nick is the resource
    to: str
    type: str
    body: str
    stanza: slixmpp.Message
    is_carbon: bool = False

    def text(self, path: str) -> str:
        """Returns the text of an element of the stanza, such as "{jabber:x:oob}x/{jabber:x:oob}url"."""
        return self.stanza.xml.findtext(path) or ""

    @property
    def url(self) -> str:
        """The URL of the attached file."""
        return self.text(f"{OUT_OF_BAND}/{{jabber:x:oob}}url")

    @property
    def has_place(self) -> bool:
        return self.stanza.xml.find(GEOLOC) is not None

    @property
    def place(self) -> tuple[float, float]:
        """The latitude and longitude of a location."""
        return float(self.text(f"{GEOLOC}/{GEO}lat")), float(self.text(f"{GEOLOC}/{GEO}lon"))

    @property
    def replied_to(self) -> str:
        """The id of the message that this one replies to."""
        found = self.stanza.xml.find(REPLY)
        return "" if found is None else found.get("id", "")

    @property
    def origin_id(self) -> str:
        found = self.stanza.xml.find(ORIGIN)
        return "" if found is None else found.get("id", "")

    @property
    def is_markable(self) -> bool:
        return self.stanza.xml.find("{urn:xmpp:chat-markers:0}markable") is not None


class Loop:
    """An asyncio loop in a thread: tests call its coroutines as functions."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, work: Coroutine[Any, Any, T], seconds: float = WAIT_SECONDS) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def close(self) -> None:
        self.run(self._cancel_others())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def _cancel_others(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Client:
    """`with Client(account) as ann:` signs in on a device, and signs out at the end.

    messages  what it has got, oldest first
    receipts  ids of own messages that others have received (XEP-0184)
    displayed ids of own messages up to which others have read (XEP-0333)
    typing    chat states of others, such as ("bot@localhost", "composing")
    """

    def __init__(
        self, account: Account, resource: str = "phone", *, tls: bool = False, gives_receipts: bool = True
    ) -> None:
        self.account, self.resource, self.tls, self.gives_receipts = account, resource, tls, gives_receipts
        self.jid = account.jid
        self.messages: list[Received] = []
        self.receipts: list[str] = []
        self.displayed: list[str] = []
        self.typing: list[tuple[str, str]] = []
        self.invitations: list[str] = []
        self.ids = itertools.count(1)
        self.stream: Any = None

    def __enter__(self) -> Self:
        self.loop = Loop()
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.run(self._disconnect())
        self.loop.close()

    def connect(self) -> None:
        """Sign in, also again. Raises OSError: the server is away."""
        self.loop.run(self._connect())

    @property
    def is_connected(self) -> bool:
        return bool(self.stream.is_connected())

    async def _connect(self) -> None:
        if self.stream is not None:
            await self._disconnect()
        stream = self.stream = slixmpp.ClientXMPP(f"{self.jid}/{self.resource}", self.account.password)
        stream.loop = asyncio.get_running_loop()
        for number in PLUGINS:
            stream.register_plugin(f"xep_{number:04}")
        stream.plugin["feature_mechanisms"].unencrypted_scram = not self.tls
        stream.plugin["xep_0184"].auto_ack = self.gives_receipts
        stream.enable_direct_tls, stream.enable_starttls, stream.enable_plaintext = (
            False,
            self.tls,
            not self.tls,
        )
        if self.tls:
            trusted = ssl.create_default_context()
            self.account.prosody.ca.configure_trust(trusted)
            stream.ssl_context = trusted
        stream.add_event_handler("message", self._record)
        stream.add_event_handler("carbon_sent", lambda copy: self._record_carbon(copy["carbon_sent"]))
        stream.add_event_handler("carbon_received", lambda copy: self._record_carbon(copy["carbon_received"]))
        stream.add_event_handler("receipt_received", lambda receipt: self.receipts.append(receipt["receipt"]))
        stream.add_event_handler(
            "marker_displayed", lambda marker: self.displayed.append(marker["displayed"]["id"])
        )
        stream.add_event_handler("chatstate", self._record_typing)
        stream.add_event_handler("groupchat_direct_invite", self._record_invitation)
        done = asyncio.get_running_loop().create_future()

        def settle(is_in: bool | None) -> None:
            if done.done():
                return
            if is_in is None:
                stream.cancel_connection_attempt()
                done.set_exception(OSError("the server is away"))
            else:
                done.set_result(is_in)

        stream.add_event_handler("session_start", lambda _: settle(True))
        stream.add_event_handler("failed_all_auth", lambda _: settle(False))
        for event in ("connection_failed", "disconnected"):
            stream.add_event_handler(event, lambda _: settle(None))
        stream.connect("127.0.0.1", self.account.prosody.port)
        assert await asyncio.wait_for(done, WAIT_SECONDS), "the password was refused"
        await self._while_connected(stream.plugin["xep_0280"].enable())
        stream.send_presence()

    async def _while_connected(self, request: Awaitable[T]) -> T:
        """Returns the response to a request. Raises OSError at once if the server is lost: slixmpp waits on."""
        response = asyncio.ensure_future(request)
        if self.is_connected:
            await asyncio.wait((response, self.stream.disconnected), return_when=asyncio.FIRST_COMPLETED)
        if not response.done():
            response.cancel()
            raise OSError("the server was lost")
        return response.result()

    async def _disconnect(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stream.disconnect(), 5)

    def drop(self) -> None:
        """Lose the connection without a word, as a phone without reception does."""
        self.loop.loop.call_soon_threadsafe(self.stream.abort)

    def _record(self, message: slixmpp.Message) -> None:
        found = received(message)
        if found.body or found.has_place:
            self.messages.append(found)

    def _record_carbon(self, copy: slixmpp.Message) -> None:
        self.messages.append(received(copy, is_carbon=True))

    def _record_typing(self, message: slixmpp.Message) -> None:
        self.typing.append((message["from"].bare, message["chat_state"]))

    def _record_invitation(self, message: slixmpp.Message) -> None:
        self.invitations.append(str(message["groupchat_invite"]["jid"]))

    # -- what a person does

    def write(self, to: str, body: str, **more: Any) -> str:
        """Returns the id of the message. It asks for a receipt, and may be marked as displayed."""
        return self._send(self._message(to, body, **more))

    def write_many(self, to: str, bodies: list[str], type: str = "chat") -> None:
        """Write these, and wait until the server has handled them all: it handles a stream's stanzas in order.

        Raises OSError if the connection is lost: then some are sent and others not, see `archive`.
        """
        self.loop.run(self._write_many(to, bodies, type))

    async def _write_many(self, to: str, bodies: list[str], type: str) -> None:
        if not self.is_connected:
            raise OSError("the server was lost")
        for body in bodies:
            self._message(to, body, type=type).send()
        try:
            await self._while_connected(self.stream.plugin["xep_0199"].send_ping(DOMAIN, timeout=60))
        except slixmpp.exceptions.XMPPError as error:
            raise OSError("the server was lost") from error

    def deliver(self, to: str, body: str) -> None:
        """Write this once, however often the server is killed: its archive tells whether it was sent."""
        for attempt in range(DELIVERY_ATTEMPTS):
            with contextlib.suppress(OSError):
                if attempt:
                    self.connect()
                    if body in [each.body for each in self.archive(with_jid=to) if each.to.startswith(to)]:
                        return
                self.write_many(to, [body])
                return
            time.sleep(0.2)
        raise AssertionError(f"{body} could not be written")

    def reply(self, message: Received, body: str) -> str:
        to = slixmpp.JID(message.sender)
        reply = self._message(to.bare, body, type=message.type)
        reply["reply"]["to"] = message.sender
        reply["reply"]["id"] = message.id
        return self._send(reply)

    def react(self, message: Received, *emoji: str) -> str:
        """Show these reactions to a message; none removes those that are there."""
        to = slixmpp.JID(message.sender)
        reaction = self._message(to.bare, "", type=message.type)
        self.stream.plugin["xep_0444"].set_reactions(reaction, message.id, emoji)
        reaction.enable("store")
        return self._send(reaction)

    def correct(self, to: str, id: str, body: str) -> str:
        message = self._message(to, body)
        message["replace"]["id"] = id
        return self._send(message)

    def send_location(self, to: str, latitude: float, longitude: float, text: str = "") -> str:
        message = self._message(to, f"geo:{latitude},{longitude}")
        place = ET.SubElement(message.xml, GEOLOC)
        for name, value in (("lat", latitude), ("lon", longitude), ("text", text)):
            if value != "":
                ET.SubElement(place, f"{GEO}{name}").text = str(value)
        return self._send(message)

    def send_file(self, to: str, content: bytes, content_type: str, filename: str, type: str = "chat") -> str:
        url = self.upload(content, content_type, filename)
        message = self._message(to, url, type=type)
        message["oob"]["url"] = url
        return self._send(message)

    def upload(self, content: bytes, content_type: str, filename: str) -> str:
        """Returns the URL of the file (XEP-0363). slixmpp's plugin would need aiohttp."""

        async def request_slot() -> ET.Element:
            wanted = {"filename": filename, "size": str(len(content)), "content-type": content_type}
            iq = self.stream.make_iq_get(ito=UPLOADS)
            iq.append(ET.Element(f"{UPLOAD}request", wanted))
            return (await iq.send()).xml

        slot = self.loop.run(request_slot())
        put, get = slot.find(f".//{UPLOAD}put"), slot.find(f".//{UPLOAD}get")
        assert put is not None and get is not None
        headers = {each.attrib["name"]: each.text or "" for each in put} | {"Content-Type": content_type}
        done = requests.put(put.attrib["url"], data=content, headers=headers, timeout=WAIT_SECONDS)
        assert done.status_code == 201, done.text
        return get.attrib["url"]

    def read(self, message: Received) -> None:
        """Mark as displayed this message and all before it."""
        to = slixmpp.JID(message.sender)

        async def send() -> None:
            self.stream.plugin["xep_0333"].send_marker(to.bare, message.id, "displayed", mtype="chat")

        self.loop.run(send())

    def show_typing(self, to: str, state: str = "composing") -> None:
        message = self._message(to, "")
        message["chat_state"] = state
        self._send(message)

    def create_room(self, name: str, nick: str, *invited: str) -> str:
        """Returns the JID of a new room whose members see each other's JIDs; invites these people."""
        room = f"{name}-{next(self.account.prosody.numbers)}@{ROOMS}"
        self.loop.run(self._create_room(room, nick, invited))
        return room

    def configure_room(self, room: str, **values: str) -> None:
        """Change the configuration of a room, such as `roomname`."""

        async def configure() -> None:
            muc = self.stream.plugin["xep_0045"]
            form = await muc.get_room_config(slixmpp.JID(room))
            form.set_values({f"muc#roomconfig_{name}": value for name, value in values.items()})
            await muc.set_room_config(slixmpp.JID(room), form)

        self.loop.run(configure())

    def set_affiliation(self, room: str, jid: str, affiliation: str) -> None:
        """Make a person an owner, admin or member of a room, an outcast, or none of these."""

        async def send() -> None:
            iq = self.stream.make_iq_set(ito=room)
            query = ET.SubElement(iq.xml, f"{ADMIN}query")
            ET.SubElement(query, f"{ADMIN}item", {"affiliation": affiliation, "jid": jid})
            await iq.send()

        self.loop.run(send())

    def invite(self, room: str, jid: str) -> None:
        async def send() -> None:
            self.stream.plugin["xep_0045"].invite(room, jid)

        self.loop.run(send())

    async def _create_room(self, room: str, nick: str, invited: tuple[str, ...]) -> None:
        muc = self.stream.plugin["xep_0045"]
        await muc.join_muc_wait(slixmpp.JID(room), nick, maxstanzas=0)
        form = await muc.get_room_config(slixmpp.JID(room))
        form.set_values({"muc#roomconfig_whois": "anyone", "muc#roomconfig_roomname": room.split("@")[0]})
        await muc.set_room_config(slixmpp.JID(room), form)
        for jid in invited:
            muc.invite(room, jid)

    def join(self, room: str, nick: str) -> None:
        self.loop.run(self.stream.plugin["xep_0045"].join_muc_wait(slixmpp.JID(room), nick, maxstanzas=0))

    def leave(self, room: str, nick: str) -> None:
        async def send() -> None:
            self.stream.plugin["xep_0045"].leave_muc(slixmpp.JID(room), nick)

        self.loop.run(send())

    def change_password(self, password: str) -> None:
        """Change the account's password: the server closes the streams of its other clients."""

        async def change() -> None:
            await self.stream.plugin["xep_0077"].change_password(password)

        self.loop.run(change())
        self.account.password = password

    def _message(self, to: str, body: str, *, type: str = "chat", id: str = "") -> slixmpp.Message:
        message = self.stream.make_message(to, body or None, mtype=type)
        message["id"] = id or f"{self.account.user}-{self.resource}-{next(self.ids)}"
        if body:
            message["origin_id"]["id"] = message["id"]
            message.enable("markable")
            if type == "chat":
                message["request_receipt"] = True
        return message

    def _send(self, message: slixmpp.Message) -> str:
        async def send() -> None:
            message.send()

        self.loop.run(send())
        return str(message["id"])

    # -- what a person sees

    def occupants(self, room: str) -> list[str]:
        """Returns the nicks of those who are in a room."""
        return list(self.stream.plugin["xep_0045"].get_roster(slixmpp.JID(room)))

    def archive(self, of: str = "", *, with_jid: str = "") -> list[Received]:
        """Returns all messages of the account's archive, or that of a room, oldest first (XEP-0313)."""
        return self.loop.run(self._archive(of, with_jid), 600)

    async def _archive(self, of: str, with_jid: str) -> list[Received]:
        return await self._while_connected(self._read_archive(of, with_jid))

    async def _read_archive(self, of: str, with_jid: str) -> list[Received]:
        pages = self.stream.plugin["xep_0313"].iterate(
            slixmpp.JID(of) if of else None,
            with_jid=slixmpp.JID(with_jid) if with_jid else None,
            rsm={"max": 50},
        )
        found = [received(result["mam_result"]["forwarded"]["stanza"]) async for result in pages]
        return [message for message in found if message.body]

    def bodies(self, sender: str = "", type: str = "chat") -> list[str]:
        """Returns the texts that have come, oldest first, from a JID, or an occupant of a room."""
        return [
            message.body
            for message in list(self.messages)
            if message.type == type and message.sender.startswith(sender) and not message.is_carbon
        ]

    def wait_for(self, fits: str | Callable[[Received], bool], *, seconds: float = WAIT_SECONDS) -> Received:
        """Returns the first message with this body, or that fits, as soon as there is one."""
        is_there = fits if callable(fits) else lambda message: message.body == fits
        until = time.monotonic() + seconds
        while True:
            if (found := next(filter(is_there, list(self.messages)), None)) is not None:
                return found
            assert time.monotonic() < until, (
                f"{fits} did not come: {[each.body for each in self.messages[-20:]]}"
            )
            time.sleep(0.02)


def received(message: slixmpp.Message, *, is_carbon: bool = False) -> Received:
    return Received(
        id=message["id"],
        sender=str(message["from"]),
        to=str(message["to"]),
        type=message["type"],
        body=message["body"],
        stanza=message,
        is_carbon=is_carbon,
    )
