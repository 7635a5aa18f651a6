"""What an XMPP server offers: features of the account, and services such as a file store (XEP-0030)."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element

from instances.channels.receiving import ReceiveFailed
from instances.channels.requests import Link
from instances.channels.xmpp.errors import StanzaRefused
from instances.channels.xmpp.reading import MUC, time_of
from instances.channels.xmpp.sending import UPLOAD
from instances.channels.xmpp.stream import IQ_SECONDS, XmppStream
from instances.channels.xmpp.xml import child, child_text, element

DISCO_INFO, DISCO_ITEMS = (
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/disco#items",
)
LAST, TIME = "jabber:iq:last", "urn:xmpp:time"
MAX_DIGITS = 9  # of the seconds since the server's start, which are 31 years then
START_SECONDS = 5.0  # for the server to say when it was started: the request of a message waits, for 10 s
MAX_SERVICES, SERVICE_SECONDS = 20, 5.0  # of a server that are asked what they are


class Services:
    """At first those that were found when the account was linked."""

    def __init__(self, link: Link, stream: XmppStream) -> None:
        self.stream = stream
        self.features: frozenset[str] = frozenset()  # of the account itself
        self.upload = link.options.get("upload", "")  # the JID of the file store
        self.upload_max = int(link.options.get("largest_file") or 0)  # bytes; 0: it does not say
        self.rooms = link.options.get("rooms", "")  # the JID of a service for rooms
        self.server_start: asyncio.Future[datetime | None] | None = None

    async def find_features(self) -> frozenset[str]:
        """Returns the features of the server and of the account's own address there."""
        found: set[str] = set()
        for to in (self.stream.domain, self.stream.own):
            with contextlib.suppress(StanzaRefused):
                found |= await self.features_of(to)
        self.features = frozenset(found)
        return self.features

    async def features_of(self, jid: str) -> set[str]:
        """Returns the features of a JID. Raises StanzaRefused, ReceiveFailed."""
        return features_in(await self.info_of(jid))

    async def started_at(self) -> datetime | None:
        """Returns when the server was started, by its own clock; None if it does not say within START_SECONDS.

        It is asked once for each connection, which ends with the server.
        """
        if self.server_start is None:
            self.server_start = asyncio.ensure_future(self.ask_start())
        return await asyncio.shield(self.server_start)

    async def ask_start(self) -> datetime | None:
        """Ask the server for the seconds since its start, and for its clock (XEP-0012, 0202)."""
        if not {LAST, TIME} <= self.features:
            return None
        try:
            async with asyncio.timeout(START_SECONDS):
                last, time = await asyncio.gather(
                    self.ask_server(f"{{{LAST}}}query"), self.ask_server(f"{{{TIME}}}time")
                )
        except (StanzaRefused, ReceiveFailed, TimeoutError):
            return None
        seconds, now = (
            "" if last is None else last.get("seconds", ""),
            time_of(child_text(time, f"{{{TIME}}}utc")),
        )
        if now is None or not seconds.isdecimal() or len(seconds) > MAX_DIGITS:
            return None
        return now - timedelta(seconds=int(seconds))

    async def ask_server(self, tag: str) -> Element | None:
        """Returns the element of this name that the server responds with."""
        return child(await self.stream.iq("get", self.stream.domain, element(tag)), tag)

    async def info_of(self, jid: str, *, seconds: float = IQ_SECONDS) -> Element | None:
        response = await self.stream.iq("get", jid, element(f"{{{DISCO_INFO}}}query"), seconds=seconds)
        return child(response, f"{{{DISCO_INFO}}}query")

    async def find(self) -> None:
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
            if UPLOAD in features and not self.upload:
                self.upload, self.upload_max = jid, max_size_in(info)
            if MUC in features and not self.rooms and jid != self.stream.domain:
                self.rooms = jid


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
