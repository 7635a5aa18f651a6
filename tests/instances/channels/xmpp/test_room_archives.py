"""Rooms are at any server: one says only what was written in it, and cannot hold up the account's other messages."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import cast
from xml.etree.ElementTree import Element

import pytest

from instances.channels.receiving import ReceiveFailed
from instances.channels.requests import Link
from instances.channels.xmpp import receiving
from instances.channels.xmpp.errors import StanzaRefused
from instances.channels.xmpp.receiving import Cursor, Receiver
from instances.channels.xmpp.stream import PageResults, XmppStream
from instances.channels.xmpp.xml import parse
from instances.received_events import MessageReceived

OWN, ROOM, OTHER = "bot@example.org", "room@evil.example", "other@rooms.example"
CURSOR = json.dumps(
    {"id": "7", "at": "", "rooms": [[jid, "bot", "", "s1", "2026-01-01T00:00:00Z"] for jid in (ROOM, OTHER)]}
)
RSM, MAM = "http://jabber.org/protocol/rsm", "urn:xmpp:mam:2"
KEY = re.compile("sid:0' id='(.*?)'")
Answer = Callable[[str, str], tuple[list[str], bool]]


def message(sender: str, body: str, key: str, *, type: str = "groupchat") -> str:
    inner = "" if not body else f"<body>{body}</body>"
    return (
        f"<message xmlns='jabber:client' from='{sender}' type='{type}' id='x'>{inner}"
        f"<stanza-id xmlns='urn:xmpp:sid:0' id='{key}' by='{sender.partition('/')[0]}'/></message>"
    )


def entered(room: str) -> str:
    user = "<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x>"
    return f"<presence from='{room}/bot'>{user}</presence>"


class Wire:
    """A stream whose rooms have archives. `answer` returns messages of one after an id, and whether they are all."""

    def __init__(self, answer: Answer) -> None:
        self.own, self.jid, self.domain = OWN, f"{OWN}/x", "example.org"
        self.answer, self.waiting, self.taken = answer, list[Element](), 0
        self.pages: list[tuple[str, str]] = []
        self.is_idle = asyncio.Event()

    def send(self, stanza: Element, ack: object = None) -> None:
        pass

    def mark_recorded(self, taken: int) -> None:
        pass

    def come(self, *stanzas: str) -> None:
        self.waiting += [parse(stanza.encode()) for stanza in stanzas]

    def take_waiting(self, most: int) -> list[Element]:
        found, self.waiting = self.waiting[:most], self.waiting[most:]
        return found

    async def take_all(self, most: int) -> list[Element]:
        if not self.waiting:
            self.is_idle.set()
            await asyncio.sleep(3600)
        return self.take_waiting(most)

    async def page(
        self, of: str, query: str, form: list[Element], *, seconds: float
    ) -> tuple[PageResults, Element]:
        after = form[-1].findtext(f"{{{RSM}}}after") or ""
        self.pages.append((of, after))
        messages, is_complete = self.answer(of, after)
        results = [
            parse(
                f"<result xmlns='{MAM}' id='{KEY.search(xml)[1]}'>"  # type: ignore[index]
                f"<forwarded xmlns='urn:xmpp:forward:0'>{xml}</forwarded></result>".encode()
            )
            for xml in messages
        ]
        last = results[-1].get("id") if results else ""
        complete, page = str(is_complete).lower(), f"<set xmlns='{RSM}'><last>{last}</last></set>"
        return PageResults(frozenset(), results), parse(
            f"<iq><fin xmlns='{MAM}' complete='{complete}'>{page}</fin></iq>".encode()
        )


def receive(answer: Answer, work: Callable[[Wire, list[str], Receiver], Awaitable[None]]) -> None:
    """Run a receiver that has entered both rooms; `work` gets the bodies that it has recorded."""

    async def main() -> None:
        wire, bodies = Wire(answer), list[str]()
        receiver = Receiver(Link(1234567890, ""), Cursor.parse(CURSOR, Link(1, "")), cast(XmppStream, wire))

        async def record() -> None:
            async for batch in receiver.read_live():
                bodies.extend(event.body for event in batch.events if isinstance(event, MessageReceived))
                await asyncio.sleep(0)

        task = asyncio.create_task(record())
        try:
            async with asyncio.timeout(30):
                await work(wire, bodies, receiver)
        finally:
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(main())


def test_an_archive_of_a_room_says_nothing_of_others() -> None:
    def answer(of: str, after: str) -> tuple[list[str], bool]:
        forged = [
            message("ann@example.org/phone", "pay Eve", "s2", type="chat"),
            message(f"{OTHER}/Ann", "pay Eve here", "s3"),
            message(OWN, "typed by the account", "s4", type="chat"),
            message(f"{ROOM}/Ann", "as a private message", "s5", type="chat"),
        ]
        return [*forged, message(f"{ROOM}/Ann", "written there", "s6")], True

    async def work(wire: Wire, bodies: list[str], receiver: Receiver) -> None:
        wire.come(entered(ROOM))
        await wire.is_idle.wait()
        assert bodies == ["written there"]
        assert receiver.cursor.rooms[ROOM].archive_id == "s6"

    receive(answer, work)


def test_what_comes_with_the_entry_does_not_hide_what_was_missed() -> None:
    """The room's cursor stays until its archive is read."""

    def answer(of: str, after: str) -> tuple[list[str], bool]:
        numbers = range(int(after[1:]) + 1, 6)
        found = [message(f"{ROOM}/Ann", f"text {number}", f"s{number}") for number in numbers]
        return found[:2], len(found) <= 2

    async def work(wire: Wire, bodies: list[str], receiver: Receiver) -> None:
        wire.come(entered(ROOM), message(f"{ROOM}/Ann", "text 5", "s5"))
        await wire.is_idle.wait()
        assert set(bodies) == {f"text {number}" for number in range(2, 6)}
        assert wire.pages == [(ROOM, "s1"), (ROOM, "s3")]
        assert receiver.cursor.rooms[ROOM].archive_id == "s5"

    receive(answer, work)


def test_an_archive_without_an_end_does_not_hold_up_other_messages() -> None:
    def answer(of: str, after: str) -> tuple[list[str], bool]:
        number = int(after[1:]) + 1
        return [message(f"{of}/Ann", f"{of} {number}", f"s{number}")], of == OTHER and number > 3

    async def work(wire: Wire, bodies: list[str], receiver: Receiver) -> None:
        wire.come(entered(ROOM), entered(OTHER))
        while f"{OTHER} 4" not in bodies:
            await asyncio.sleep(0)
        wire.come(message("ann@example.org/phone", "hi", "a1", type="chat"))
        while "hi" not in bodies:
            await asyncio.sleep(0)
        assert receiver.cursor.rooms[ROOM].is_behind

    receive(answer, work)


def refusal(condition: str, kind: str = "cancel") -> StanzaRefused:
    error = f"<error type='{kind}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
    return StanzaRefused(parse(f"<iq type='error'>{error}</iq>".encode()))


@pytest.mark.parametrize(
    "failures",
    [
        [ReceiveFailed("It did not respond within 10 s.")] * 2,
        [refusal("resource-constraint", "wait"), refusal("internal-server-error")],
    ],
    ids=["no response", "a temporary refusal"],
)
def test_an_archive_that_fails_for_a_moment_keeps_its_cursor_and_is_read_later(
    monkeypatch: pytest.MonkeyPatch, failures: list[Exception]
) -> None:
    """The cursor stays before the messages that are missing; the connection stays open."""
    monkeypatch.setattr(receiving, "ROOM_PAUSE", 0.0)
    rest = list(failures)

    def answer(of: str, after: str) -> tuple[list[str], bool]:
        if rest:
            raise rest.pop()
        return [message(f"{ROOM}/Ann", "missed", "s2")], True

    async def work(wire: Wire, bodies: list[str], receiver: Receiver) -> None:
        wire.come(entered(ROOM), message(f"{ROOM}/Ann", "live", "s3"))
        await wire.is_idle.wait()
        assert bodies == ["live", "missed"]
        assert wire.pages == [(ROOM, "s1")] * 3

    receive(answer, work)


@pytest.mark.parametrize("is_temporary", [True, False])
def test_the_cursor_stays_while_the_accounts_archive_cannot_be_read(
    is_temporary: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "ARCHIVE_PAUSE", 3600.0)

    def answer(of: str, after: str) -> tuple[list[str], bool]:
        raise refusal("internal-server-error" if is_temporary else "feature-not-implemented")

    async def work(wire: Wire, bodies: list[str], receiver: Receiver) -> None:
        assert [batch async for batch in receiver.read_archive()] == []
        live = message("ann@example.org/phone", "hi", "8", type="chat").replace(
            "by='ann@example.org'", f"by='{OWN}'"
        )
        wire.come(live)
        await wire.is_idle.wait()
        assert bodies == ["hi"]
        assert receiver.cursor.archive_id == ("7" if is_temporary else "8")
        if is_temporary:
            receiver.archive_due = 0.0
            with pytest.raises(ReceiveFailed, match="read again"):
                await anext(receiver.read_live())

    receive(answer, work)


@pytest.mark.parametrize("condition", ["item-not-found", "forbidden"])
def test_an_archive_that_refuses_is_not_asked_forever(condition: str) -> None:
    def answer(of: str, after: str) -> tuple[list[str], bool]:
        raise refusal(condition)

    async def work(wire: Wire, bodies: list[str], receiver: Receiver) -> None:
        wire.come(entered(ROOM))
        await wire.is_idle.wait()
        assert wire.pages == ([(ROOM, "s1"), (ROOM, "")] if condition == "item-not-found" else [(ROOM, "s1")])
        assert not receiver.cursor.rooms[ROOM].is_behind

    receive(answer, work)


def test_a_nickname_too_long_for_a_jid_is_not_stored() -> None:
    def answer(of: str, after: str) -> tuple[list[str], bool]:
        return [], True

    async def work(wire: Wire, bodies: list[str], receiver: Receiver) -> None:
        long = "x" * 100_000
        user = "<x xmlns='http://jabber.org/protocol/muc#user'><status code='303'/><status code='110'/>"
        wire.come(
            entered(ROOM),
            f"<presence from='{ROOM}/bot' type='unavailable'>{user}<item nick='{long}'/></x></presence>",
            f"<presence from='{ROOM}/{long}'>{user}</x></presence>",
        )
        await wire.is_idle.wait()
        assert len(str(receiver.cursor)) < 1_000

    receive(answer, work)
