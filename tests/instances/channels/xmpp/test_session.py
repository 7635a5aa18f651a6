"""A connected account: each message goes out once, its sender always learns why not, and rooms are entered once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast
from xml.etree.ElementTree import Element

import pytest

from instances.channels.open_streams import StreamReply
from instances.channels.requests import Link
from instances.channels.xmpp import services as services_module
from instances.channels.xmpp import session as session_module
from instances.channels.xmpp.errors import NotSent, StanzaRefused
from instances.channels.xmpp.receiving import Cursor
from instances.channels.xmpp.session import Session
from instances.channels.xmpp.stream import MESSAGE, PRESENCE, XmppStream
from instances.channels.xmpp.xml import parse

ROOM = "room@rooms.example.org"
ONE = "capi" + "1" * 28


class Wire:
    """A stream that keeps what is written. `acks` are those of messages; `lose` ends it."""

    def __init__(self) -> None:
        self.own, self.jid, self.domain = "bot@example.org", "bot@example.org/x", "example.org"
        self.has_acks, self.max_bytes, self.is_lost = True, 10_000, False
        self.sent: list[Element] = []
        self.acks: list[asyncio.Future[None]] = []

    def send(self, stanza: Element, ack: asyncio.Future[None] | None = None) -> None:
        if self.is_lost:
            raise NotSent("The connection was lost.")
        self.sent.append(stanza)
        if ack is not None:
            self.acks.append(ack)

    def interrupt(self) -> None:
        pass

    def lose(self) -> None:
        self.is_lost = True
        for ack in self.acks:
            ack.set_exception(NotSent("The connection was lost."))

    def of(self, tag: str) -> list[Element]:
        return [stanza for stanza in self.sent if stanza.tag == tag]


def message(to: str = "ann@example.org", type: str = "chat", id: str = ONE, body: str = "hi") -> bytes:
    return f"<message to='{to}' type='{type}' id='{id}'><body>{body}</body></message>".encode()


def presence(
    room: str = ROOM, nick: str = "bot", *, status: str = "110", type: str = "", inner: str = ""
) -> Element:
    user = f"<x xmlns='http://jabber.org/protocol/muc#user'><status code='{status}'/></x>"
    kind = f" type='{type}'" if type else ""
    return parse(f"<presence from='{room}/{nick}'{kind}>{inner or user}</presence>".encode())


def error(condition: str, kind: str = "cancel") -> str:
    return f"<error type='{kind}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"


def bounce(sender: str) -> Element:
    return parse(
        f"<message type='error' from='{sender}' id='{ONE}'>{error('item-not-found')}</message>".encode()
    )


def run(work: Callable[[Session, Wire], Awaitable[None]]) -> None:
    async def main() -> None:
        wire = Wire()
        session = Session(Link(1234567890, ""), cast(XmppStream, wire), {})
        try:
            async with asyncio.timeout(30):
                await work(session, wire)
        finally:
            session.end()

    asyncio.run(main())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def call(session: Session, body: bytes, action: str = "message") -> asyncio.Task[StreamReply]:
    return asyncio.create_task(session.call(action, body))


def said(reply: StreamReply) -> tuple[int, Any]:
    return reply.status, json.loads(reply.body)


def test_a_message_that_is_asked_for_again_is_sent_once() -> None:
    async def work(session: Session, wire: Wire) -> None:
        first, second = call(session, message()), call(session, message())
        await settle()
        first.cancel()  # the sender has waited too long
        wire.acks[0].set_result(None)
        assert said(await second) == (200, {"id": ONE})
        assert said(await session.call("message", message())) == (200, {"id": ONE})
        assert len(wire.of(MESSAGE)) == 1

    run(work)


def test_a_message_that_the_archive_has_is_not_sent_again() -> None:
    async def work(session: Session, wire: Wire) -> None:
        session.note_sent(ONE)
        assert said(await session.call("message", message())) == (200, {"id": ONE})
        assert wire.sent == []

    run(work)


def test_a_server_that_does_not_say_when_it_was_started_holds_up_no_second_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is asked once for each connection, and for a limited time."""
    monkeypatch.setattr(services_module, "START_SECONDS", 0.01)
    asked: list[str] = []

    async def does_not_respond(kind: str, to: str, payload: Element, **_: object) -> Element:
        asked.append(payload.tag)
        return await asyncio.Future()

    async def has_no_archive(*_: object, **__: object) -> None:
        raise StanzaRefused(bounce("bot@example.org"))

    async def work(session: Session, wire: Wire) -> None:
        session.services.features = frozenset({services_module.LAST, services_module.TIME})
        monkeypatch.setattr(wire, "iq", does_not_respond, raising=False)
        monkeypatch.setattr(wire, "page", has_no_archive, raising=False)
        for number, key in enumerate((ONE, "capi" + "2" * 28)):
            body = f"<again since='2026-01-02T03:04:05Z'>{message(id=key).decode()}</again>".encode()
            again = call(session, body, "message-again")
            while len(wire.acks) == number:
                await asyncio.sleep(0.01)
            wire.acks[number].set_result(None)
            assert said(await again) == (200, {"id": key})
        assert [tag.partition("}")[0] for tag in asked] == ["{jabber:iq:last", "{urn:xmpp:time"]

    run(work)


def test_the_sender_learns_that_a_message_came_back_or_the_connection_was_lost() -> None:
    async def work(session: Session, wire: Wire) -> None:
        asked = call(session, message())
        await settle()
        assert session.note_failed(ONE, bounce("ann@example.org"))
        assert said(await asked)[0] == 422
        again = call(session, message())
        await settle()
        wire.lose()
        assert said(await again)[0] == 503
        assert said(await session.call("message", message()))[0] == 503

    run(work)


@pytest.mark.parametrize(
    ("to", "kind", "senders", "others"),
    [
        (
            "ann@example.org",
            "chat",
            ["ann@example.org", "ann@example.org/phone"],
            ["eve@example.net/x", ROOM],
        ),
        (f"{ROOM}/Ann", "chat", [f"{ROOM}/Ann", ROOM], [f"{ROOM}/Eve", "eve@example.net"]),
        (ROOM, "groupchat", [ROOM], [f"{ROOM}/Eve", "eve@example.net", "rooms.example.org"]),
    ],
    ids=["person", "occupant", "room"],
)
def test_only_the_recipient_refuses_a_message(
    to: str, kind: str, senders: list[str], others: list[str]
) -> None:
    """Everyone in a room sees the ids of its messages, and could make them fail."""

    async def work(session: Session, wire: Wire) -> None:
        for sender in senders:
            asked = call(session, message(to, kind))
            await settle()
            if kind == "groupchat":
                session.handle(presence())
                await settle()
            assert not any(session.note_failed(ONE, bounce(other)) for other in others)
            assert not asked.done()
            assert session.note_failed(ONE, bounce(sender))
            assert said(await asked)[0] == 422
            wire.acks.pop().set_result(None)
            await settle()

    run(work)


def test_a_message_that_came_back_before_its_ack_is_sent_again() -> None:
    async def work(session: Session, wire: Wire) -> None:
        asked = call(session, message())
        await settle()
        assert session.note_failed(ONE, bounce("ann@example.org"))
        wire.acks[0].set_result(None)
        assert said(await asked)[0] == 422
        again = call(session, message())
        await settle()
        assert len(wire.of(MESSAGE)) == 2
        wire.acks[1].set_result(None)
        assert said(await again) == (200, {"id": ONE})

    run(work)


def test_a_message_that_would_close_the_stream_is_refused() -> None:
    async def work(session: Session, wire: Wire) -> None:
        status, answer = said(await session.call("message", message(body="x" * 20_000)))
        assert (status, answer["type"], wire.sent) == (422, "cancel", [])

    run(work)


def test_a_room_is_entered_before_the_first_message_and_shows_it() -> None:
    async def work(session: Session, wire: Wire) -> None:
        asked = [call(session, message(ROOM, "groupchat", f"capi{number}" + "0" * 27)) for number in range(2)]
        await settle()
        assert [each.get("to") for each in wire.of(PRESENCE)] == [f"{ROOM}/bot"], "entered once"
        assert wire.of(MESSAGE) == []
        session.handle(presence())
        await settle()
        assert len(wire.of(MESSAGE)) == 2
        for ack in wire.acks:
            ack.set_result(None)
        session.note_sent("capi0" + "0" * 27, "id-in-the-room")
        assert said(await asked[0]) == (200, {"id": "id-in-the-room"})

    run(work)


@pytest.mark.parametrize(("condition", "stays"), [("forbidden", False), ("remote-server-timeout", True)])
def test_a_room_that_does_not_let_in_is_kept_if_it_may_later(condition: str, stays: bool) -> None:
    async def work(session: Session, wire: Wire) -> None:
        session.rooms.by_jid.update(Cursor.parse(CURSOR, session.link).rooms)
        session.rooms.enter_again()
        session.handle(presence(type="error", inner=error(condition)))
        assert (ROOM in session.rooms.by_jid) == stays
        asked = call(session, message(ROOM, "groupchat"))
        await settle()
        session.handle(presence(type="error", inner=error(condition)))
        assert said(await asked)[0] == 422
        assert (ROOM in session.rooms.by_jid) == stays

    run(work)


def test_a_nickname_that_another_has_is_changed() -> None:
    async def work(session: Session, wire: Wire) -> None:
        asked = call(session, f"<presence to='{ROOM}/bot'/>".encode(), "enter")
        await settle()
        session.handle(presence(type="error", inner=error("conflict")))
        assert wire.sent[-1].get("to") == f"{ROOM}/bot_"
        session.handle(presence(nick="bot_"))
        assert said(await asked)[0] == 200
        assert session.rooms.by_jid[ROOM].nick == "bot_"

    run(work)


def test_a_room_that_is_not_there_is_not_created_by_a_message() -> None:
    async def work(session: Session, wire: Wire) -> None:
        asked = call(session, message(ROOM, "groupchat"))
        await settle()
        session.handle(parse(
            f"<presence from='{ROOM}/bot'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/>"
            "<status code='201'/></x></presence>".encode()
        ))  # fmt: skip
        assert said(await asked)[0] == 422
        assert (wire.sent[-1].get("type"), session.rooms.by_jid) == ("unavailable", {})

    run(work)


def test_strangers_cannot_make_thousands_of_contacts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "MAX_NEW_CONTACTS", 3)

    async def work(session: Session, wire: Wire) -> None:
        for number in range(10):
            session.handle(parse(f"<presence from='eve{number}@example.net' type='subscribe'/>".encode()))
        assert len(wire.sent) == 2 * 3

    run(work)


def test_what_is_no_message_is_refused() -> None:
    async def work(session: Session, wire: Wire) -> None:
        assert said(await session.call("message", b"<message"))[0] == 400
        assert said(await session.call("message", message(id="not ours")))[0] == 404
        assert said(await session.call("unknown", message()))[0] == 404
        assert wire.sent == []

    run(work)


CURSOR = f'{{"id":"7","at":"2026-01-01T00:00:00Z","rooms":[["{ROOM}","bot","","s1","2026-01-01T00:00:00Z"]]}}'


def test_the_cursor_survives_a_restart() -> None:
    link = Link(1, "", options={"archive_id": "5", "since": "2025-01-01T00:00:00Z"})
    assert str(Cursor.parse(CURSOR, link)) == CURSOR
    assert (Cursor.parse("", link).archive_id, Cursor.parse("", link).stamp) == ("5", "2025-01-01T00:00:00Z")
