"""One stream to an XMPP server: stream management (XEP-0198), requests, and the stanzas that come.

`opening.open_stream` opens it to the given server alone: it follows no redirect. What comes is bounded: a stanza by the
parser, and all stanzas that wait by MAX_WAITING and MAX_WAITING_BYTES, after which the server has to wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from xml.etree.ElementTree import Element

from instances.channels.receiving import ReceiveFailed
from instances.channels.xmpp import jids
from instances.channels.xmpp.errors import NotSent, StanzaRefused, stream_failure
from instances.channels.xmpp.xml import (
    CLIENT,
    STREAMS,
    BadXml,
    StanzaParser,
    child,
    child_text,
    element,
    memory_of,
    to_bytes,
)

IQ_SECONDS = 15.0
QUIET_SECONDS = 60.0  # without anything from the server, it is asked whether it is there …
PING_SECONDS = 20.0  # … and given up after so long
ARCHIVE_SECONDS = 60.0  # for a page of an archive
MAX_PAGE = 300  # its messages; fewer are asked for
MAX_WAITING = 500  # stanzas; while a response is waited for …
MOST_WAITING = 20_000  # … so many
# The same in bytes of memory. An owner of an instance may have any server, and shares the receiver with others.
MAX_WAITING_BYTES, MOST_WAITING_BYTES = 2 * 1024 * 1024, 32 * 1024 * 1024
MAX_STANZA_SENT = 250_000  # bytes, unless the server says how many; Prosody takes 256 KB
LOOPBACK = ("127.", "::1")  # how addresses begin to which a stream may stay without encryption
MAX_UNSENT_BYTES = 1024 * 1024

TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SM, LIMITS = "urn:xmpp:sm:3", "urn:xmpp:stream-limits:0"
MAM = "urn:xmpp:mam:2"
MESSAGE, PRESENCE, IQ = (f"{{{CLIENT}}}{name}" for name in ("message", "presence", "iq"))
COUNTED = (MESSAGE, PRESENCE, IQ)


@dataclass
class PageResults:
    """Messages of an archive that have come for one request. Only `senders` may send them.

    What is over MAX_PAGE or MOST_WAITING_BYTES is left out, and `is_cut` is true: it has to be asked for again. Anyone
    can send large messages to the account, so that must not end the stream.
    """

    senders: frozenset[str]
    found: list[Element] = field(default_factory=list)
    size: int = 0  # bytes of memory
    is_cut: bool = False

    def add(self, result: Element) -> None:
        size = memory_of(result)
        is_full = len(self.found) >= MAX_PAGE or self.size + size > MOST_WAITING_BYTES
        self.is_cut = self.is_cut or (bool(self.found) and is_full)
        if not self.is_cut:
            self.found.append(result)
            self.size += size


class XmppStream(asyncio.Protocol):
    """Open it by `opening.open_stream`, read stanzas with `take_all`, and close it in the end."""

    def __init__(self, jid: str) -> None:
        self.jid = jid  # bare; after the sign-in with the resource
        self.own, self.domain = jids.bare(jid), jids.domain(jid)
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.parser: StanzaParser | None = None
        self.is_encrypted = self.is_loopback = False
        # stanzas that have come, with `arrived` and the memory of each
        self.waiting: deque[tuple[int, Element, int]] = deque()
        self.waiting_bytes = 0  # of memory
        self.wakeup: asyncio.Future[None] | None = None  # of the task in `wait`
        self.is_interrupted = False
        self.failure: Exception | None = None
        self.is_paused = False
        self.expects_tls = False
        self.requests: dict[
            str, tuple[frozenset[str], asyncio.Future[Element]]
        ] = {}  # by id, with who may respond
        self.archives: dict[str, PageResults] = {}  # by query
        self.features: Element = element("features")
        # stream management
        self.has_acks = self.is_asked = False
        self.unacked: deque[asyncio.Future[None] | None] = deque()
        self.acked = 0  # by the server
        # counts of stanzas that came: of all, up to the last in `waiting`, up to the last that `take` has returned, and
        # up to the last that was recorded
        self.arrived = self.queued = self.taken = self.recorded = 0

    def adopt(self, writer: asyncio.StreamWriter) -> None:
        """Read and write this connection from now on."""
        self.writer = writer  # it would close the connection when it is collected
        transport = cast(asyncio.Transport, writer.transport)
        peer = transport.get_extra_info("peername")
        self.is_loopback = str(peer[0] if peer else "").startswith(LOOPBACK)
        transport.set_protocol(self)
        self.transport = transport

    # -- asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        if self.parser is None:  # bytes between STARTTLS and the handshake: someone has added them
            self.fail(ReceiveFailed("The server sent text where the encrypted connection begins."))
            return
        try:
            self.parser.feed(data)
        except BadXml as error:
            self.fail(ReceiveFailed(str(error)))
            return
        if self.parser is not None and self.parser.is_closed:
            self.fail(ReceiveFailed("The server has closed the stream."))

    def connection_lost(self, error: Exception | None) -> None:
        why = getattr(error, "strerror", None) or ""
        self.fail(ReceiveFailed(f"The connection to the server was lost{': ' if why else ''}{why}."))

    def received(self, stanza: Element) -> None:
        """Take what the parser has read: acks and responses at once, the rest in order."""
        if self.parser is None:
            raise BadXml("The server sent text where the encrypted connection begins.")
        tag, kind = stanza.tag, stanza.get("type")
        if tag == f"{{{STREAMS}}}error":
            self.fail(stream_failure(stanza))
        elif tag == f"{{{SM}}}a" and self.has_acks:
            self.note_acks(stanza.get("h", ""))
        elif tag == f"{{{SM}}}r" and self.has_acks:
            self.is_asked = True
            self.acknowledge()
        else:
            is_counted = self.has_acks and tag in COUNTED
            if is_counted:
                self.arrived += 1
            elif tag == f"{{{SM}}}enabled":
                self.has_acks = True
            if tag == f"{{{TLS}}}proceed" and self.expects_tls:
                self.parser = None
            if tag == IQ and kind in ("result", "error"):
                self.note_response(stanza)
            elif tag == MESSAGE and (result := child(stanza, f"{{{MAM}}}result")) is not None:
                self.note_result(stanza, result)
            else:
                self.enqueue(stanza, is_counted=is_counted)

    def enqueue(self, stanza: Element, *, is_counted: bool) -> None:
        if is_counted and self.recorded >= self.queued:  # all before it need no record, or have it
            self.recorded = self.arrived - 1
        self.queued = self.arrived
        size = memory_of(stanza)
        self.waiting.append((self.arrived, stanza, size))
        self.waiting_bytes += size
        if len(self.waiting) > MOST_WAITING or self.waiting_bytes > MOST_WAITING_BYTES:
            self.fail(ReceiveFailed("The server sent too much before a response."))
        self.pause_or_resume()
        self.wake()

    def pause_or_resume(self) -> None:
        """Let the server wait while many stanzas do; not while a response is waited for, which comes after them."""
        if self.transport is None or self.failure is not None:
            return
        fill = max(len(self.waiting) / MAX_WAITING, self.waiting_bytes / MAX_WAITING_BYTES)
        if not self.is_paused and fill >= 1 and not self.requests:
            self.is_paused = True
            self.transport.pause_reading()
        elif self.is_paused and (self.requests or fill < 0.5):
            self.is_paused = False
            self.transport.resume_reading()

    def note_response(self, stanza: Element) -> None:
        """Give a response to the task that waits for it. Its address decides too: others could guess the id."""
        senders, future = self.requests.get(stanza.get("id", ""), (frozenset(), None))
        if future is not None and normal(stanza.get("from", "")) in senders and not future.done():
            future.set_result(stanza)

    def note_result(self, stanza: Element, result: Element) -> None:
        """Give a message of an archive to the task that reads it. What was not asked for is left out."""
        results = self.archives.get(result.get("queryid", ""))
        if results is not None and normal(stanza.get("from", "")) in results.senders:
            results.add(result)

    def fail(self, error: Exception) -> None:
        """End with this error, unless it has ended with another one."""
        if self.failure is None:
            self.failure = error
            waiting: list[asyncio.Future[Any]] = [future for _, future in self.requests.values()]
            waiting += filter(None, self.unacked)
            for future in waiting:
                if not future.done():
                    future.set_exception(NotSent(str(error)))
                    future.exception()  # the task may have been cancelled: then it is of no interest
            self.wake()
        self.abort()

    def wake(self) -> None:
        if self.wakeup is not None and not self.wakeup.done():
            self.wakeup.set_result(None)

    def interrupt(self) -> None:
        """Let `take_all` return now, also without a stanza."""
        self.is_interrupted = True
        self.wake()

    # -- reading

    async def wait(self) -> None:
        """Wait for a stanza, or for `interrupt`. Raises what ended the stream, after the stanzas that came before."""
        while not self.waiting and not self.is_interrupted:
            if self.failure is not None:
                raise self.failure
            self.wakeup = self.loop.create_future()
            await self.wakeup
        self.is_interrupted = False

    async def take(self) -> Element:
        """Returns the next stanza. Raises as `wait`."""
        while not self.waiting:
            await self.wait()
        return self.take_next()

    def take_next(self) -> Element:
        self.taken, stanza, size = self.waiting.popleft()
        self.waiting_bytes -= size
        self.pause_or_resume()
        return stanza

    async def take_all(self, most: int) -> list[Element]:
        """Returns the stanzas that have come, at most so many; none after `interrupt`, or QUIET_SECONDS without any.

        Raises what ended the stream; ReceiveFailed if the server does not respond any more.
        """
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                await self.wait()
        except TimeoutError:
            await self.ping()
        return self.take_waiting(most)

    def take_waiting(self, most: int) -> list[Element]:
        """Returns the stanzas that have come, at most so many, without waiting for one."""
        return [self.take_next() for _ in range(min(most, len(self.waiting)))]

    async def ping(self) -> None:
        """Ask the server whether it is there. An error is a response too."""
        with contextlib.suppress(StanzaRefused):
            await self.iq("get", self.domain, element("{urn:xmpp:ping}ping"), seconds=PING_SECONDS)

    def mark_recorded(self, taken: int) -> None:
        """Tell the server, if it has asked, that the stanzas up to this one (`taken`) are recorded."""
        self.recorded = max(self.recorded, taken)
        if self.is_asked:
            self.acknowledge()

    def acknowledge(self) -> None:
        if not self.has_acks or self.failure is not None:
            return
        is_all = self.recorded >= self.queued
        self.is_asked = self.is_asked and not is_all
        number = (self.arrived if is_all else self.recorded) % 2**32
        with contextlib.suppress(NotSent):
            self.write(element(f"{{{SM}}}a", {"h": str(number)}))

    # -- writing

    def write(self, stanza: Element) -> None:
        """Raises NotSent."""
        self.send_bytes(to_bytes(stanza))

    def send_bytes(self, data: bytes) -> None:
        if self.failure is not None or self.transport is None or self.transport.is_closing():
            raise NotSent(str(self.failure or "The connection to the server was lost."))
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise NotSent("The server does not read what is sent to it.")
        self.transport.write(data)

    @property
    def max_bytes(self) -> int:
        """The largest stanza that the server takes (XEP-0478): after a larger one it would close the stream."""
        said = child_text(child(self.features, f"{{{LIMITS}}}limits"), f"{{{LIMITS}}}max-bytes")
        return int(said) if said.isdecimal() and len(said) < 10 else MAX_STANZA_SENT

    def send(self, stanza: Element, ack: asyncio.Future[None] | None = None) -> None:
        """Write a message, presence or request. `ack` is done when the server has it. Raises NotSent."""
        asks = self.has_acks and (ack is not None or len(self.unacked) > MAX_WAITING)
        self.send_bytes(to_bytes(stanza) + (to_bytes(element(f"{{{SM}}}r")) if asks else b""))
        if self.has_acks:
            self.unacked.append(ack)

    def note_acks(self, number: str) -> None:
        """Note that the server has so many stanzas. A number that is too high or too low ends the stream (XEP-0198)."""
        if not number.isdecimal() or len(number) > 10:
            return
        count = (int(number) - self.acked) % 2**32
        if count > len(self.unacked):
            self.fail(ReceiveFailed("The server has acknowledged stanzas that were not sent."))
            return
        self.acked = (self.acked + count) % 2**32
        for _ in range(count):
            ack = self.unacked.popleft()
            if ack is not None and not ack.done():
                ack.set_result(None)

    async def iq(self, kind: str, to: str, payload: Element, *, seconds: float = IQ_SECONDS) -> Element:
        """Returns the response to a request; `to` "" is the account's own server.

        Raises:
            StanzaRefused: it is an error.
            ReceiveFailed: there is none.
        """
        key = secrets.token_hex(8)
        future: asyncio.Future[Element] = self.loop.create_future()
        self.requests[key] = (self.senders(to), future)
        self.pause_or_resume()
        try:
            self.send(element("iq", {"type": kind, "to": to, "id": key}, "", payload))
            async with asyncio.timeout(seconds):
                response = await future
        except TimeoutError:
            raise ReceiveFailed(f"{to or 'The server'} did not respond within {seconds:.0f} s.") from None
        finally:
            del self.requests[key]
            self.pause_or_resume()
        if response.get("type") == "error":
            raise StanzaRefused(response)
        return response

    def senders(self, to: str) -> frozenset[str]:
        """Returns from whom a response to `to` may come: for the account's own server, also without an address."""
        own = frozenset({"", self.own, self.domain, normal(self.jid)})
        return own if to in own else frozenset({normal(to)})

    async def page(
        self, of: str, query: str, form: Sequence[Element], *, seconds: float
    ) -> tuple[PageResults, Element]:
        """Returns the results of one request to an archive (XEP-0313), and its end. `of` "": the account's own.

        Raises as `iq`.
        """
        results = self.archives[query] = PageResults(self.senders(of))
        try:
            wanted = element(f"{{{MAM}}}query", {"queryid": query}, "", *form)
            response = await self.iq("set", of, wanted, seconds=seconds)
            return results, response
        finally:
            del self.archives[query]

    async def close(self) -> None:
        """End the stream as the server expects it, without waiting for its response."""
        with contextlib.suppress(NotSent):
            self.send_bytes(b"</stream:stream>")
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


def normal(jid: str) -> str:
    name = jids.resource(jid)
    return f"{jids.bare(jid)}/{name}" if name else jids.bare(jid)
