"""What rooms tell of themselves: names, occupants, those who belong to them, and admins, as the account's chats."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import cast
from xml.etree.ElementTree import Element

import pytest

from instances.actions.settings import change_settings
from instances.channels.requests import Link
from instances.channels.xmpp import groups
from instances.channels.xmpp.reading import Room
from instances.channels.xmpp.session import Session
from instances.channels.xmpp.stream import XmppStream
from instances.channels.xmpp.xml import parse
from instances.models import Chat, Instance
from instances.received_events import GroupChanged, GroupJoined
from tests.factories import InstanceFactory
from tests.instances.channels.group_chats import people, shown_names, updates
from tests.instances.channels.xmpp.messenger import MESSENGER
from tests.servers.xmpp_client import Client

OWN, ROOM, FOREIGN = "bot@example.org", "trip@rooms.example.org", "trip@evil.example"


# -- with a server


@pytest.fixture
def instance() -> Instance:
    found: Instance = InstanceFactory(channel="xmpp", url="https://example.com/hook", token="secret")
    MESSENGER.link(found)
    found.refresh_from_db()
    change_settings(found, changes={"chatUpdateOn": True})
    return found


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def chat_id(jid: str) -> str:
    return f"xmpp:{jid}@c.us"


def wait_for(instance: Instance, is_so: Callable[[], bool]) -> None:
    """Record what comes, group by group, until it is so."""
    while not is_so():
        MESSENGER.deliver(instance, GroupJoined | GroupChanged)  # type: ignore[arg-type]


@pytest.mark.django_db
def test_a_room_is_a_group_with_its_name_its_people_and_its_admins(
    instance: Instance, clients: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "DETAILS_PAUSE", 0.0)
    ann, own = MESSENGER.ann, instance.own_chat_id
    bot = MESSENGER.connected[instance.pk].account.jid
    ben = clients.enter_context(Client(MESSENGER.prosody.register("ben")))
    room = ann.create_room("trip", "Ann")
    group = f"xmpp:{room}@g.us"

    def expect(**members: bool) -> None:
        jids = {"own": own, "ann": chat_id(ann.jid), "ben": chat_id(ben.jid)}
        wanted = {jids[name]: is_admin for name, is_admin in members.items()}
        wait_for(instance, lambda: people(group) == wanted)

    ann.invite(room, bot)
    expect(own=False, ann=True)
    [(old, new)] = [each for each in updates(instance) if each[1]["id"] == group]
    assert old is None and new["name"] == room.partition("@")[0]
    assert new["metadata"]["admins"] == [chat_id(ann.jid)]

    ben.join(room, "Ben")
    expect(own=False, ann=True, ben=False)
    assert shown_names(instance, group)[chat_id(ben.jid)] == "Ben"
    ann.set_affiliation(room, ben.jid, "admin")
    expect(own=False, ann=True, ben=True)
    ben.leave(room, "Ben")
    expect(own=False, ann=True)
    ann.configure_room(room, roomname="Trip to Rome")
    wait_for(instance, lambda: Chat.objects.get(chat_id=group).name == "Trip to Rome")

    ann.set_affiliation(room, bot, "owner")
    expect(own=True, ann=True, ben=True)  # an owner sees who belongs to the room
    ann.set_affiliation(room, ben.jid, "member")
    expect(own=True, ann=True, ben=False)
    ann.set_affiliation(room, ben.jid, "none")
    expect(own=True, ann=True)

    ann.set_affiliation(room, bot, "outcast")
    wait_for(instance, lambda: Chat.objects.get(chat_id=group).left_at is not None)
    assert people(group) == {chat_id(ann.jid): True}


# -- without a server

MEMBERS = (("ann@example.org", True), (OWN, False))


class Wire:
    """A stream to rooms. `responses` by the first part of what is asked; others get no response."""

    def __init__(self) -> None:
        self.own, self.jid, self.domain = OWN, f"{OWN}/x", "example.org"
        self.name, self.asked = "Trip", list[str]()

    def send(self, stanza: Element, ack: object = None) -> None:
        pass

    def interrupt(self) -> None:
        pass

    async def iq(self, kind: str, to: str, payload: Element, *, seconds: float) -> Element:
        self.asked.append(to)
        identity = f"<identity category='conference' type='text' name='{self.name}'/>"
        return parse(f"<iq><query xmlns='{groups.DISCO_INFO}'>{identity}</query></iq>".encode())


def presence(room: str, nick: str, item: str = "", *, code: str = "", type: str = "") -> Element:
    status = f"<status code='{code}'/>" if code else ""
    user = f"<x xmlns='http://jabber.org/protocol/muc#user'><item {item}/>{status}</x>"
    kind = f" type='{type}'" if type else ""
    return parse(f"<presence from='{room}/{nick}'{kind}>{user}</presence>".encode())


def run(work: Callable[[Session, Wire], Awaitable[None]], room: str = ROOM) -> None:
    """Run a session that has entered a room, in which Ann is an admin."""

    async def main() -> None:
        wire = Wire()
        session = Session(Link(1234567890, ""), cast(XmppStream, wire), {room: Room(room, "bot")})
        try:
            async with asyncio.timeout(30):
                session.handle(presence(room, "Ann", "affiliation='admin' jid='ann@example.org/x'"))
                session.handle(presence(room, "bot", "affiliation='none'", code="110"))
                assert session.groups.reports() == [], "its name is not known yet"
                await settle()
                await work(session, wire)
        finally:
            session.end()

    asyncio.run(main())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def members(*people: tuple[str, bool], room: str = ROOM, is_known: bool = True) -> GroupJoined:
    found = tuple(((f"xmpp:{jid}@c.us",), is_admin) for jid, is_admin in people)
    names = {f"xmpp:{jid}@c.us": "bot" if jid == OWN else "Ann" for jid, _ in people}
    return GroupJoined(f"xmpp:{room}@g.us", "Trip", found, is_known=is_known, names=names)


def test_a_room_of_another_server_cannot_say_who_people_are() -> None:
    async def work(session: Session, wire: Wire) -> None:
        assert session.groups.reports() == [
            members((f"{FOREIGN}/Ann", True), (OWN, False), room=FOREIGN, is_known=False)
        ]
        assert wire.asked == [FOREIGN], "for its name, and not for its lists"
        session.handle(
            presence(FOREIGN, "Ann", "affiliation='none' jid='pay@example.org'", type="unavailable")
        )
        assert session.groups.reports() == [members((OWN, False), room=FOREIGN)]

    run(work, FOREIGN)


def test_what_a_room_repeats_is_not_reported() -> None:
    async def work(session: Session, wire: Wire) -> None:
        assert session.groups.reports() == [members(*MEMBERS, is_known=False)]
        session.handle(presence(ROOM, "Ann", "affiliation='admin' jid='ann@example.org/x'"))
        assert session.groups.reports() == []

    run(work)


def test_another_nickname_is_the_same_person() -> None:
    async def work(session: Session, wire: Wire) -> None:
        before = session.groups.reports()
        for nick, new in (("bot", "robot"), ("Ann", "Anna"), ("robot", "bot")):
            session.handle(presence(ROOM, nick, f"nick='{new}'", code="303", type="unavailable"))
        [after] = session.groups.reports()
        assert isinstance(after, GroupJoined)
        assert before == [members(*MEMBERS, is_known=False)] and set(after.members) == set(
            members(*MEMBERS).members
        )

    run(work)


@pytest.mark.parametrize("limit", ["MAX_OCCUPANTS", "MAX_IN_ROOM"])
def test_people_in_rooms_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(groups, limit, 3)

    async def work(session: Session, wire: Wire) -> None:
        for number in range(10):
            session.handle(presence(ROOM, str(number), f"jid='{number}@example.org'"))
        [report] = session.groups.reports()
        assert isinstance(report, GroupJoined) and len(report.members) == 3

    run(work)


def test_the_beginning_of_a_long_name_is_remembered() -> None:
    async def work(session: Session, wire: Wire) -> None:
        wire.name = "long " * 100_000
        group = session.groups.by_jid[ROOM]
        await session.groups.read_name(group)
        assert group.name == wire.name[: groups.MAX_NAME]

    run(work)


def test_the_account_is_an_admin_of_a_room_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MAX_IN_ROOM", 1)  # which is Ann, who was there before

    async def work(session: Session, wire: Wire) -> None:
        session.handle(presence(ROOM, "bot", "affiliation='owner'", code="110"))
        [report] = session.groups.reports()
        assert isinstance(report, GroupJoined)
        assert dict(report.members)[f"xmpp:{OWN}@c.us",]

    run(work)


def test_a_room_that_changes_all_the_time_is_asked_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "DETAILS_PAUSE", 3600.0)
    user = "<x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x>"

    async def work(session: Session, wire: Wire) -> None:
        asked, group = len(wire.asked), session.groups.by_jid[ROOM]
        for sender, is_outdated in ((f"{ROOM}/Ann", False), (ROOM, True), (ROOM, True)):
            message = f"<message from='{sender}' type='groupchat'>{user}</message>"
            session.rooms.note_message(parse(message.encode()))
            await settle()
            assert (group.is_outdated, len(wire.asked)) == (is_outdated, asked), sender

    run(work)
