"""Opens a stream to an XMPP server: TLS, sign-in, the resource, and stream management (RFC 6120, sections 4 to 7)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from functools import lru_cache
from typing import NamedTuple
from xml.etree.ElementTree import Element

from hooks.http import trusted_certificates
from instances.channels.receiving import LinkLost, Network, ReceiveFailed
from instances.channels.responses import words
from instances.channels.xmpp import jids, sasl
from instances.channels.xmpp.errors import LINK_LOST, StanzaRefused
from instances.channels.xmpp.stream import SM, TLS, XmppStream
from instances.channels.xmpp.xml import CLIENT, STREAMS, StanzaParser, child, child_text, element, escaped

STEP_SECONDS = 15.0  # for each response

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
SESSION = "urn:ietf:params:xml:ns:xmpp-session"


class Server(NamedTuple):
    """Where a server accepts streams. `has_direct_tls`: they begin with TLS (XEP-0368), not with STARTTLS."""

    host: str
    port: int
    has_direct_tls: bool = False


@lru_cache(maxsize=4)
def tls_context(certificates: str, *, is_verified: bool, is_direct: bool) -> ssl.SSLContext:
    """Returns the context of all streams: one with Mozilla's certificates takes half a megabyte."""
    context = ssl.create_default_context(cafile=certificates)
    if is_direct:
        context.set_alpn_protocols(["xmpp-client"])  # one port may serve web pages and streams
    if not is_verified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def open_stream(network: Network, server: Server, jid: str, password: str, resource: str) -> XmppStream:
    """Connect to an address of the server, encrypt, sign in and bind the resource.

    Raises:
        LinkLost: the server does not accept the JID and the password.
        ReceiveFailed: anything else.
    """
    stream = XmppStream(jid)
    # Its certificate is for the domain of the JID, not for the host: the handshake is a step of the opening.
    _reader, writer = await network.connect(server.host, server.port, has_tls=False)
    try:
        stream.adopt(writer)
        steps = Opening(stream)
        await (steps.begin_with_tls() if server.has_direct_tls else steps.begin())
        await steps.negotiate(password, resource)
    except StanzaRefused as error:
        stream.abort()
        raise ReceiveFailed(str(error)) from None
    except BaseException:
        stream.abort()
        raise
    return stream


class Opening:
    """The steps of client and server, in their order, until the stream can be used."""

    def __init__(self, stream: XmppStream) -> None:
        self.stream = stream

    async def begin_with_tls(self) -> None:
        """Begin the stream on a port where the server expects a handshake first (XEP-0368)."""
        await self.shake_hands(is_direct=True)
        await self.restart()

    async def begin(self) -> None:
        """Begin the stream, and encrypt it if the server offers that."""
        await self.restart()
        if child(self.stream.features, f"{{{TLS}}}starttls") is not None:
            await self.encrypt()
        elif not self.stream.is_loopback:
            raise ReceiveFailed("The server does not offer an encrypted connection (STARTTLS).")

    async def negotiate(self, password: str, resource: str) -> None:
        await self.sign_in(password)
        await self.restart()
        await self.bind(resource)
        if child(self.stream.features, f"{{{SM}}}sm") is not None:
            self.stream.write(element(f"{{{SM}}}enable"))
            await self.step()  # if it refuses, `has_acks` stays False

    async def restart(self) -> None:
        """Begin a new stream on the connection, and read the server's features."""
        self.stream.parser = StanzaParser(lambda _: None, self.stream.received)
        opening = (
            f"<?xml version='1.0'?><stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAMS}' "
            f"to='{escaped(self.stream.domain)}' version='1.0'>"
        )
        self.stream.send_bytes(opening.encode())
        self.stream.features = await self.step()
        if self.stream.features.tag != f"{{{STREAMS}}}features":
            raise ReceiveFailed("The server does not respond as an XMPP server does.")

    async def encrypt(self) -> None:
        self.stream.expects_tls = True
        self.stream.write(element(f"{{{TLS}}}starttls"))
        if (await self.step()).tag != f"{{{TLS}}}proceed":
            raise ReceiveFailed("The server refuses an encrypted connection.")
        await self.shake_hands(is_direct=False)
        await self.restart()

    async def shake_hands(self, *, is_direct: bool) -> None:
        """Encrypt the connection. The certificate has to be valid for the domain, except on this machine."""
        if self.stream.failure is not None:
            raise self.stream.failure
        transport = self.stream.transport
        context = tls_context(
            trusted_certificates(), is_verified=not self.stream.is_loopback, is_direct=is_direct
        )
        if transport is None:
            raise ReceiveFailed("The server has closed the connection.")
        try:
            async with asyncio.timeout(STEP_SECONDS):
                encrypted = await self.stream.loop.start_tls(
                    transport, self.stream, context, server_hostname=self.stream.domain
                )
        except ssl.SSLCertVerificationError as error:
            raise ReceiveFailed(
                f"The server's certificate is not valid for {self.stream.domain}: {error.verify_message}."
            ) from None
        except (OSError, TimeoutError) as error:
            raise ReceiveFailed(f"The encrypted connection could not be opened ({error}).") from None
        if encrypted is None:
            raise ReceiveFailed("The server has closed the connection.")
        self.stream.transport, self.stream.is_encrypted, self.stream.expects_tls = encrypted, True, False

    async def sign_in(self, password: str) -> None:
        found = child(self.stream.features, f"{{{SASL}}}mechanisms")
        offered = (
            [each.text or "" for each in found if each.tag.endswith("}mechanism")]
            if found is not None
            else []
        )
        mechanism, user = sasl.choose(offered), jids.local(self.stream.own)
        if not mechanism:
            names = words(", ".join(offered)) or "none"
            raise ReceiveFailed(f"The server offers no sign-in by password that is known here ({names}).")
        try:
            if mechanism == sasl.PLAIN and not self.stream.is_encrypted:
                raise sasl.SaslFailed("The server wants the password without encryption.")
            if mechanism == sasl.PLAIN:
                await self.authenticate(mechanism, sasl.plain(user, password))
                return
            scram = sasl.Scram(mechanism, user, password)
            response = await self.authenticate(mechanism, scram.first())
            if response.tag == f"{{{SASL}}}challenge":
                self.stream.write(
                    element(f"{{{SASL}}}response", None, encoded(await scram.final(decoded(response))))
                )
                response = self.accepted(await self.step())
            if response.tag == f"{{{SASL}}}challenge":  # some servers send their proof before the success
                scram.check(decoded(response))
                self.stream.write(element(f"{{{SASL}}}response"))
                self.accepted(await self.step())
            else:
                scram.check(decoded(response))
        except sasl.SaslFailed as error:
            raise ReceiveFailed(str(error)) from None

    async def authenticate(self, mechanism: str, first: bytes) -> Element:
        self.stream.write(element(f"{{{SASL}}}auth", {"mechanism": mechanism}, encoded(first)))
        return self.accepted(await self.step())

    def accepted(self, response: Element) -> Element:
        """Returns the response to a step of the sign-in. Raises LinkLost, ReceiveFailed."""
        if response.tag in (f"{{{SASL}}}challenge", f"{{{SASL}}}success"):
            return response
        conditions = [each.tag.rpartition("}")[2] for each in response if not each.tag.endswith("}text")]
        condition, said = "".join(conditions[:1]), words(child_text(response, f"{{{SASL}}}text"))
        sentence = LINK_LOST.get(condition, "The server has refused the sign-in.").removesuffix(".")
        sentence = f"{sentence} ({condition or 'no reason'}{': ' if said else ''}{said.removesuffix('.')})."
        raise LinkLost(sentence) if condition in LINK_LOST else ReceiveFailed(sentence)

    async def bind(self, resource: str) -> None:
        wanted = element(f"{{{BIND}}}bind", None, "", element(f"{{{BIND}}}resource", None, resource))
        bound = await self.stream.iq("set", "", wanted)
        self.stream.jid = child_text(child(bound, f"{{{BIND}}}bind"), f"{{{BIND}}}jid") or self.stream.jid
        session = child(self.stream.features, f"{{{SESSION}}}session")
        if session is not None and child(session, f"{{{SESSION}}}optional") is None:
            await self.stream.iq("set", "", element(f"{{{SESSION}}}session"))

    async def step(self) -> Element:
        """Returns the next element of the server while the stream is opened."""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                return await self.stream.take()
        except TimeoutError:
            raise ReceiveFailed(f"The server did not respond within {STEP_SECONDS:.0f} s.") from None


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode() or "="


def decoded(found: Element) -> bytes:
    try:
        return base64.b64decode((found.text or "").strip(), validate=True)
    except (ValueError, binascii.Error):
        return b""
