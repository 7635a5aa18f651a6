"""A stream with a server that misbehaves: it ends with a sentence, and neither leaks the password nor blocks."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from instances.channels.receiving import LinkLost, ReceiveFailed, SessionTaken
from instances.channels.xmpp import opening
from instances.channels.xmpp import stream as stream_module
from instances.channels.xmpp.archive import read_page
from instances.channels.xmpp.errors import NotSent, StanzaRefused
from instances.channels.xmpp.sasl import Scram
from instances.channels.xmpp.stream import MAM, XmppStream
from instances.channels.xmpp.xml import element
from instances.receiving.network import LoopNetwork

HEADER = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
SASL, TLS = "urn:ietf:params:xml:ns:xmpp-sasl", "urn:ietf:params:xml:ns:xmpp-tls"
BIND, SM = "urn:ietf:params:xml:ns:xmpp-bind", "urn:xmpp:sm:3"


def features(inner: str) -> str:
    return f"{HEADER}<stream:features>{inner}</stream:features>"


def mechanisms(*names: str) -> str:
    return features(
        f"<mechanisms xmlns='{SASL}'>{''.join(f'<mechanism>{name}</mechanism>' for name in names)}</mechanisms>"
    )


def stream_error(condition: str) -> str:
    return f"<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"


SIGNED_IN = [
    ("<stream:stream", mechanisms("TRUSTED")),
    ("<auth", f"<success xmlns='{SASL}'/>"),
    ("<stream:stream", features(f"<bind xmlns='{BIND}'/><sm xmlns='{SM}'/>")),
    (
        "<iq",
        f"<iq type='result' id='{{id}}'><bind xmlns='{BIND}'><jid>bot@example.org/x</jid></bind></iq>",
    ),
    ("<enable", f"<enabled xmlns='{SM}'/>"),
]
Script = list[tuple[str, str]]


class Server:
    """Sends each answer of its script after it has got the text before it; `{id}` is the id of the last request."""

    def __init__(self, script: Script) -> None:
        self.script, self.got, self.lost = script, "", asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        seen = ""
        with contextlib.suppress(OSError):
            for expected, answer in self.script:
                while expected not in seen:
                    if not (more := (await reader.read(65536)).decode()):
                        break
                    seen += more
                    self.got += more
                key = seen.rpartition(' id="')[2].partition('"')[0]
                seen = ""
                writer.write(answer.replace("{id}", key).encode())
            while more := (await reader.read(65536)).decode():
                self.got += more
        self.lost.set()
        writer.close()


def run(
    script: Script, work: Callable[[Server, Callable[[], Awaitable[XmppStream]]], Awaitable[None]]
) -> None:
    async def main() -> None:
        server, network = Server(script), LoopNetwork()
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]

        async def open_stream() -> XmppStream:
            return await opening.open_stream(
                network, opening.Server("127.0.0.1", port), "bot@example.org", "a secret", "x"
            )

        try:
            async with asyncio.timeout(30):
                await work(server, open_stream)
        finally:
            listening.close()
            network.close()

    asyncio.run(main())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


def fails(script: Script, match: str, kind: type[Exception] = ReceiveFailed) -> Server:
    """Returns the server, after the stream could not be opened."""
    servers = []

    async def work(server: Server, open_stream: Callable[[], Awaitable[XmppStream]]) -> None:
        with pytest.raises(kind, match=match):
            await open_stream()
        servers.append(server)
        await server.lost.wait()

    run(script, work)
    assert "a secret" not in servers[0].got
    assert base64.b64encode(b"\0bot\0a secret").decode() not in servers[0].got
    return servers[0]


def test_an_unencrypted_stream_to_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "LOOPBACK", ("nowhere",))
    server = fails([("<stream:stream", mechanisms("PLAIN", "SCRAM-SHA-1"))], "STARTTLS")
    assert "<auth" not in server.got


def test_the_password_is_not_sent_without_encryption() -> None:
    fails([("<stream:stream", mechanisms("PLAIN"))], "without encryption")


def test_text_that_someone_adds_before_the_encryption_ends_the_stream() -> None:
    starttls = features(f"<starttls xmlns='{TLS}'/>")
    for added in ("<message from='boss@example.org'><body>pay</body></message>", "text"):
        fails(
            [("<stream:stream", starttls), ("<starttls", f"<proceed xmlns='{TLS}'/>{added}")],
            "encrypted|between",
        )


@pytest.mark.parametrize("iterations", [1, 4095, 1_000_001, 10**30])
def test_the_server_cannot_keep_a_core_busy(iterations: int) -> None:
    async def main() -> None:
        scram = Scram("SCRAM-SHA-256", "bot", "a secret", lambda: "mine")
        with pytest.raises(Exception, match="iterations"):
            await scram.final(f"r=mineyours,s=c2FsdA==,i={iterations}".encode())

    asyncio.run(main())


def test_scram_as_in_rfc_7677() -> None:
    async def main() -> None:
        scram = Scram("SCRAM-SHA-256", "user", "pencil", lambda: "rOprNGfwEbeRWgbNEkqO")
        final = await scram.final(
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        )
        assert final.endswith(b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
        scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        with pytest.raises(Exception, match="proved"):
            scram.check(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")

    asyncio.run(main())


def test_a_wrong_password_loses_the_link() -> None:
    failure = f"<failure xmlns='{SASL}'><not-authorized/></failure>"
    fails([("<stream:stream", mechanisms("SCRAM-SHA-256")), ("<auth", failure)], "JID and password", LinkLost)
    failure = f"<failure xmlns='{SASL}'><temporary-auth-failure/></failure>"
    fails([("<stream:stream", mechanisms("SCRAM-SHA-256")), ("<auth", failure)], "temporary-auth-failure")


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "broken XML"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]>" + HEADER, "document type"),
        (HEADER + stream_error("host-unknown"), "does not serve the domain"),
        (HEADER + stream_error("see-other-host"), "not followed"),
        (HEADER + "</stream:stream>", "closed the stream"),
        (HEADER + "<message/>", "does not respond as"),
    ],
)
def test_what_is_no_server_is_named(answer: str, match: str) -> None:
    fails([("<stream:stream", answer)], match)


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mechanism that needs no password, so that a script can let a stream in."""

    async def sign_in(steps: opening.Opening, password: str) -> None:
        await steps.authenticate("TRUSTED", b"")

    monkeypatch.setattr(opening.Opening, "sign_in", sign_in)


def test_stanzas_are_acknowledged_when_they_are_recorded(trusted: None) -> None:
    async def work(server: Server, open_stream: Callable[[], Awaitable[XmppStream]]) -> None:
        stream = await open_stream()
        [writer] = server.writers
        writer.write(b"<message id='1'/><message id='2'/><r xmlns='urn:xmpp:sm:3'/>")
        assert (await stream.take()).get("id") == "1"
        await until(lambda: 'h="0"' in server.got)  # none is recorded
        stream.mark_recorded(stream.taken)
        await stream.take()
        await until(lambda: 'h="1"' in server.got)
        assert 'h="2"' not in server.got
        stream.mark_recorded(stream.taken)
        writer.write(b"<iq type='result' id='x'/><r xmlns='urn:xmpp:sm:3'/>")
        await until(lambda: 'h="3"' in server.got)  # a response needs no record
        await stream.close()

    run(SIGNED_IN, work)


def test_a_message_is_sent_when_the_server_has_it_and_not_before(trusted: None) -> None:
    async def work(server: Server, open_stream: Callable[[], Awaitable[XmppStream]]) -> None:
        stream = await open_stream()
        [writer] = server.writers
        one, two = (asyncio.get_running_loop().create_future() for _ in range(2))
        stream.send(element("message", {"id": "1"}), one)
        stream.send(element("message", {"id": "2"}), two)
        writer.write(b"<a xmlns='urn:xmpp:sm:3' h='1'/><a xmlns='urn:xmpp:sm:3' h='x'/>")
        await one
        assert not two.done()
        writer.close()
        with pytest.raises(NotSent):
            await two
        with pytest.raises(ReceiveFailed, match="lost"):
            await stream.take()

    run(SIGNED_IN, work)


@pytest.mark.parametrize("number", [3, 0], ids=["more than were sent", "fewer than before"])
def test_a_server_that_miscounts_does_not_mark_a_message_as_sent(trusted: None, number: int) -> None:
    async def work(server: Server, open_stream: Callable[[], Awaitable[XmppStream]]) -> None:
        stream = await open_stream()
        [writer] = server.writers
        one, two = (asyncio.get_running_loop().create_future() for _ in range(2))
        stream.send(element("message", {"id": "1"}), one)
        stream.send(element("message", {"id": "2"}), two)
        writer.write(f"<a xmlns='{SM}' h='1'/><a xmlns='{SM}' h='{number}'/>".encode())
        await one
        with pytest.raises(NotSent):
            await two
        with pytest.raises(ReceiveFailed, match="not sent"):
            await stream.take()

    run(SIGNED_IN, work)


def test_a_response_of_another_address_is_none(trusted: None) -> None:
    async def work(server: Server, open_stream: Callable[[], Awaitable[XmppStream]]) -> None:
        stream = await open_stream()
        asked = asyncio.ensure_future(
            stream.iq("get", "rooms.example.org", element("{urn:asked}query"), seconds=5)
        )
        await until(lambda: "urn:asked" in server.got)
        key = server.got.rpartition(' id="')[2].partition('"')[0]
        [writer] = server.writers
        writer.write(f"<iq type='result' id='{key}' from='eve@example.net'/>".encode())
        writer.write(f"<iq type='result' id='{key}'/><message id='next'/>".encode())
        assert (await stream.take()).get("id") == "next"
        assert not asked.done()
        writer.write(f"<iq type='error' id='{key}' from='rooms.example.org'/>".encode())
        with pytest.raises(StanzaRefused):
            await asked
        await stream.close()

    run(SIGNED_IN, work)


def test_results_of_an_archive_that_were_not_asked_for_are_left_out(trusted: None) -> None:
    async def work(server: Server, open_stream: Callable[[], Awaitable[XmppStream]]) -> None:
        stream = await open_stream()
        [writer] = server.writers
        forged = "<result xmlns='urn:xmpp:mam:2' queryid='x' id='1'><forwarded xmlns='urn:xmpp:forward:0'/></result>"
        writer.write(f"<message from='eve@example.net'>{forged}</message><message id='next'/>".encode())
        assert (await stream.take()).get("id") == "next"
        await stream.close()

    run(SIGNED_IN, work)


def test_another_client_that_takes_the_session_is_named(trusted: None) -> None:
    async def work(server: Server, open_stream: Callable[[], Awaitable[XmppStream]]) -> None:
        stream = await open_stream()
        server.writers[0].write(b"<message id='1'/>" + stream_error("conflict").encode())
        assert (await stream.take()).get("id") == "1", "what came before is read"
        with pytest.raises(SessionTaken):
            await stream.take()

    run(SIGNED_IN, work)


def test_a_flood_waits_at_the_server_and_a_response_comes_through(
    trusted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "MAX_WAITING", 10)

    async def work(server: Server, open_stream: Callable[[], Awaitable[XmppStream]]) -> None:
        stream = await open_stream()
        [writer] = server.writers
        writer.write(b"".join(b"<message id='%d'/>" % number for number in range(1000)))
        await until(lambda: stream.is_paused)
        asked = asyncio.ensure_future(stream.iq("get", "", element("{urn:asked}query"), seconds=5))
        await until(lambda: "urn:asked" in server.got)
        key = server.got.rpartition(' id="')[2].partition('"')[0]
        writer.write(f"<iq type='result' id='{key}'/>".encode())
        await asked
        assert [(await stream.take()).get("id") for _ in range(1000)] == [
            str(number) for number in range(1000)
        ]
        await stream.close()

    run(SIGNED_IN, work)


def test_large_stanzas_wait_at_the_server_before_they_fill_the_memory(trusted: None) -> None:
    body = b"<message><body>" + b"x" * 500_000 + b"</body></message>"
    sent = 40

    async def work(server: Server, open_stream: Callable[[], Awaitable[XmppStream]]) -> None:
        stream = await open_stream()
        [writer] = server.writers
        writer.write(body * sent)
        await until(lambda: stream.is_paused)
        assert len(stream.waiting) < 10
        for _ in range(sent):
            await stream.take()
        assert stream.waiting_bytes == 0
        await stream.close()

    run(SIGNED_IN, work)


def test_a_server_that_sends_no_response_but_much_else_loses_the_stream(
    trusted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "MOST_WAITING_BYTES", 1_000_000)

    async def work(server: Server, open_stream: Callable[[], Awaitable[XmppStream]]) -> None:
        stream = await open_stream()
        [writer] = server.writers
        asked = asyncio.ensure_future(stream.iq("get", "", element("{urn:asked}query")))
        await until(lambda: "urn:asked" in server.got)
        writer.write((b"<message>" + b"<a/>" * 1_000 + b"</message>") * 100)
        with pytest.raises(NotSent, match="too much"):
            await asked

    run(SIGNED_IN, work)


def test_results_of_an_archive_come_from_it_alone(trusted: None) -> None:
    """Anyone can send a message that looks like a result, and a room only results of its own archive."""
    room = "room@rooms.example.net"

    def result(sender: str, query: str, body: str) -> str:
        message = f"<message xmlns='jabber:client' from='ann@example.org/x'><body>{body}</body></message>"
        forwarded = f"<forwarded xmlns='urn:xmpp:forward:0'>{message}</forwarded>"
        found = f"<result xmlns='{MAM}' queryid='{query}' id='1'>{forwarded}</result>"
        return f"<message from='{sender}'>{found}<body>forged</body></message>"

    async def work(server: Server, open_stream: Callable[[], Awaitable[XmppStream]]) -> None:
        stream = await open_stream()
        [writer] = server.writers
        for of, right in (("", "bot@example.org"), (room, room)):
            reading = asyncio.ensure_future(read_page(stream, of))
            await until(lambda: bool(stream.archives and stream.requests))
            [query], [key] = stream.archives, stream.requests
            forged = ["eve@example.net/x", "room@rooms.example.net/Eve", "rooms.example.net", "example.net"]
            forged += [each for each in ("bot@example.org", room) if each != right]
            sent = "".join(result(sender, query, "forged") for sender in forged)
            sent += result(right, "another query", "forged") + result(right, query, "real")
            end = f"<iq type='result' from='{right}' id='{key}'><fin xmlns='{MAM}' complete='true'/></iq>"
            writer.write((sent + end.replace(right, "eve@example.net/x", 1) + end).encode())
            page = await reading
            assert [each.message.findtext("{jabber:client}body") for each in page.messages] == ["real"]
        assert not stream.waiting, "a result is no message"
        await stream.close()

    run(SIGNED_IN, work)


def test_a_page_of_large_messages_is_cut_and_asked_for_again(
    trusted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anyone can send large messages to the account: they must not end each stream that reads them."""
    monkeypatch.setattr(stream_module, "MOST_WAITING_BYTES", 1_000_000)

    def result(query: str, number: int) -> str:
        message = (
            f"<message xmlns='jabber:client' from='ann@example.org/x'><body>{'x' * 400_000}</body></message>"
        )
        forwarded = f"<forwarded xmlns='urn:xmpp:forward:0'>{message}</forwarded>"
        return (
            f"<message><result xmlns='{MAM}' queryid='{query}' id='{number}'>{forwarded}</result></message>"
        )

    async def work(server: Server, open_stream: Callable[[], Awaitable[XmppStream]]) -> None:
        stream = await open_stream()
        [writer] = server.writers
        reading = asyncio.ensure_future(read_page(stream))
        await until(lambda: bool(stream.archives and stream.requests))
        [query], [key] = stream.archives, stream.requests
        page = "<set xmlns='http://jabber.org/protocol/rsm'><last>5</last></set>"
        end = f"<iq type='result' id='{key}'><fin xmlns='{MAM}' complete='true'>{page}</fin></iq>"
        writer.write(("".join(result(query, number) for number in range(1, 6)) + end).encode())
        found = await reading
        assert [each.id for each in found.messages] == ["1", "2"]
        assert (found.last, found.is_complete) == ("2", False)
        await stream.close()

    run(SIGNED_IN, work)
