"""What Matrix reports of groups: names, members and admins, as the account's chats show them."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from instances.actions.chats.chats import MAX_PARTICIPANTS, remove_chat
from instances.actions.settings import change_settings
from instances.channels.matrix import groups, receiving
from instances.channels.matrix.timeline import Room
from instances.channels.requests import Link
from instances.models import Chat, Instance
from instances.received_events import GroupChanged, GroupJoined, MessageReceived
from tests.doubles.matrix import SERVER, TIMELINE, Account, MatrixDouble
from tests.factories import InstanceFactory
from tests.instances.channels.group_chats import people, shown_names, updates
from tests.instances.channels.matrix.messenger import MatrixMessenger, said
from tests.instances.channels.matrix.test_account import Scripted

ANN, BEN, EVE = (f"@{name}:{SERVER}" for name in ("ann", "ben", "eve"))
ROOM = f"!trip:{SERVER}"
CHAT = f"matrix:{ROOM}@g.us"
MESSENGER = MatrixMessenger()

pytestmark = pytest.mark.django_db


def chat_id(user: str) -> str:
    return f"matrix:{user}@c.us"


@pytest.fixture
def double() -> MatrixDouble:
    return MESSENGER.double


@pytest.fixture
def instance() -> Instance:
    found: Instance = InstanceFactory(channel="matrix", url="https://example.com/hook", token="secret")
    MESSENGER.cursors.pop(found.pk, None)
    MESSENGER.double.accounts.pop(f"@bot{found.pk}:{SERVER}", None)
    MESSENGER.link(found)
    change_settings(found, changes={"chatUpdateOn": True})
    found.refresh_from_db()
    return found


@pytest.fixture
def account(instance: Instance) -> Account:
    return MESSENGER.account(instance)


@pytest.fixture
def room(double: MatrixDouble, instance: Instance, account: Account) -> str:
    """A room of Ann, who is its admin, Ben and the account."""
    for user, name in ((ANN, "Ann"), (BEN, ""), (account.user, "Shop bot")):
        double.change_member(account, ROOM, user, "join", name=name)
    double.change(account, ROOM, "m.room.power_levels", {"users": {ANN: 100, EVE: 100, BEN: 50}}, by=ANN)
    double.change(account, ROOM, "m.room.name", {"name": "Trip"}, by=ANN)
    MESSENGER.deliver(instance)
    return ROOM


def test_a_room_has_its_name_and_its_members(
    client: Client, instance: Instance, account: Account, room: str
) -> None:
    own = chat_id(account.user)
    [(old, new)] = updates(instance)
    assert old is None and (new["id"], new["name"]) == (CHAT, "Trip")
    assert set(new["metadata"]["participants"]) == {chat_id(ANN), chat_id(BEN), own}
    assert new["metadata"]["admins"] == [chat_id(ANN)], "Eve has the level, and is not in the room"
    url = f"/instance{instance.number}/dialogs?token=secret"
    [shown] = client.get(url).json()["dialogs"]
    assert shown["name"] == "Trip" and set(shown["metadata"]["participants"]) == set(people(CHAT))


def test_people_come_and_go(double: MatrixDouble, instance: Instance, account: Account, room: str) -> None:
    everyone = people(CHAT)
    for user, membership, by, expected in (
        (EVE, "invite", ANN, everyone),
        (EVE, "join", EVE, {**everyone, chat_id(EVE): True}),
        (EVE, "join", EVE, {**everyone, chat_id(EVE): True}),  # another display name
        (EVE, "ban", ANN, everyone),
        (BEN, "leave", ANN, {one: is_admin for one, is_admin in everyone.items() if one != chat_id(BEN)}),
    ):
        double.change_member(account, room, user, membership, by=by)
        MESSENGER.deliver(instance)
        assert people(CHAT) == expected
    assert len(updates(instance)) == 4


def test_people_have_their_display_names(
    double: MatrixDouble, instance: Instance, account: Account, room: str
) -> None:
    """The account's own name is that of the instance."""
    others = {chat_id(ANN): "Ann", chat_id(BEN): BEN}
    for user, name in ((EVE, "Eve"), (EVE, "Eve\x00  Smith")):
        double.change_member(account, room, user, "join", name=name)
        MESSENGER.deliver(instance)
    shown = shown_names(instance, CHAT)
    assert shown.pop(chat_id(account.user)) == str(instance)
    assert shown == {**others, chat_id(EVE): "Eve\N{REPLACEMENT CHARACTER} Smith"}


def test_the_account_is_removed_and_comes_back(
    double: MatrixDouble, instance: Instance, account: Account, room: str
) -> None:
    double.change_member(account, room, account.user, "leave", by=ANN)
    MESSENGER.deliver(instance)
    chat = Chat.objects.get(chat_id=CHAT)
    assert chat.left_at is not None and chat_id(account.user) not in people(CHAT)
    double.change_member(account, room, account.user, "join")
    MESSENGER.deliver(instance)
    chat.refresh_from_db()
    assert chat.left_at is None and chat_id(account.user) in people(CHAT)


def test_a_change_of_admins_or_of_the_alias_is_read_from_the_state(
    double: MatrixDouble, instance: Instance, account: Account, room: str
) -> None:
    double.change(account, room, "m.room.power_levels", {"users": {BEN: 100}}, by=ANN)
    double.change(account, room, "m.room.canonical_alias", {"alias": f"#trip:{SERVER}"}, by=ANN)
    double.change(account, room, "m.room.name", {"name": ""}, by=ANN)
    MESSENGER.deliver(instance)
    assert {one for one, is_admin in people(CHAT).items() if is_admin} == {chat_id(BEN)}
    assert Chat.objects.get(chat_id=CHAT).name == f"#trip:{SERVER}"


def test_a_chat_that_was_removed_from_the_list_stays_removed(
    double: MatrixDouble, instance: Instance, account: Account, room: str
) -> None:
    remove_chat(instance, chat_id=CHAT)
    double.change_member(account, room, EVE, "join")
    MESSENGER.deliver(instance)
    assert not Chat.objects.listed().filter(chat_id=CHAT).exists()


def test_a_room_whose_state_cannot_be_read_holds_up_no_message(
    double: MatrixDouble, instance: Instance, account: Account
) -> None:
    account.has_no_state = True
    double.change(account, ROOM, "m.room.power_levels", {"users": {ANN: 100}}, by=ANN)
    double.change_member(account, ROOM, ANN, "join")
    double.write(account, ROOM, said("chat", "hello", ""), sender=ANN, name="Ann")
    MESSENGER.deliver(instance)
    assert people(CHAT) == {chat_id(account.user): False, chat_id(ANN): False}
    account.has_no_state = False
    double.write(account, ROOM, said("chat", "again", ""), sender=ANN)
    MESSENGER.deliver(instance)
    assert people(CHAT) == {chat_id(account.user): False, chat_id(ANN): True}


def test_changes_in_a_gap_are_recorded_before_later_ones(
    double: MatrixDouble, instance: Instance, account: Account, room: str
) -> None:
    double.change_member(account, room, EVE, "join")
    double.change(account, room, "m.room.name", {"name": "Rome"}, by=ANN)
    for number in range(2 * TIMELINE):
        double.write(account, room, said("chat", str(number), ""), sender=ANN)
    double.change_member(account, room, EVE, "leave")
    double.change(account, room, "m.room.name", {"name": "Paris"}, by=ANN)
    MESSENGER.deliver(instance)
    assert Chat.objects.get(chat_id=CHAT).name == "Paris" and chat_id(EVE) not in people(CHAT)


def test_a_direct_room_is_no_group(double: MatrixDouble, instance: Instance, account: Account) -> None:
    direct = f"!ann:{SERVER}"
    double.change(account, direct, "m.room.name", {"name": "Not a group"}, by=ANN)
    double.change_member(account, direct, BEN, "join")
    double.write(account, direct, said("chat", "hello", ""), sender=ANN, name="Ann")
    MESSENGER.deliver(instance)
    [chat] = Chat.objects.filter(instance=instance)
    assert (chat.chat_id, chat.name, chat.is_group) == (f"matrix:{direct}@c.us", "Ann", False)
    assert f"GET /v3/rooms/{direct}/state" not in account.asked


def test_the_whole_state_is_read_again_once_a_minute_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(receiving, "monotonic", lambda: clock[0])
    where = f"GET https://example.org/_matrix/client/v3/rooms/{quote(ROOM, safe='')}/state"
    network: Any = Scripted({where: (200, [state(groups.NAME, {"name": "Trip"}), state(groups.LEVELS, {})])})
    link = Link(1001, BOT, {"access_token": "t"}, "@bot:example.org", {"base_url": "https://example.org"})
    receiver = receiving.Receiver(link, network)
    message, change = {"type": "m.room.message"}, state(groups.LEVELS, {})

    def count_requests(event: dict[str, Any], **timeline: bool) -> int:
        """The account has joined the room by itself, and writes: the response has its member."""
        own = state(groups.MEMBER, {"membership": "join"}, "@bot:example.org")
        joined = {"timeline": {"events": [event], **timeline}, "state": {"events": [own]}}
        found = asyncio.run(receiver.read_group(ROOM, joined))
        assert found in ([], [GroupJoined(CHAT, "Trip", is_known=True)])
        return len(network.asked)

    assert [
        count_requests(message),
        count_requests(message),
        count_requests(change),
        count_requests(change),
    ] == [1, 1, 1, 1]
    clock[0] += receiving.GROUP_SECONDS
    assert [count_requests(message), count_requests(message), count_requests(change)] == [2, 2, 2], (
        "the change was not forgotten"
    )
    clock[0] += receiving.GROUP_SECONDS
    assert count_requests(message) == 3
    clock[0] += receiving.GROUP_SECONDS
    assert [count_requests(message), count_requests(message, limited=True)] == [3, 4], (
        "in the gap, the account may have left and come back"
    )


def test_a_state_that_could_not_be_read_is_read_again_a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try may take as long as a response may: messages of all rooms wait for it."""
    clock = [1_000.0]
    monkeypatch.setattr(receiving, "monotonic", lambda: clock[0])
    network: Any = Scripted({})
    link = Link(1001, BOT, {"access_token": "t"}, "@bot:example.org", {"base_url": "https://example.org"})
    receiver = receiving.Receiver(link, network)

    def count_tries() -> int:
        assert (
            asyncio.run(receiver.read_group(ROOM, {"timeline": {"events": [{"type": "m.room.message"}]}}))
            == []
        )
        return len(network.asked)

    assert [count_tries(), count_tries()] == [1, 1]
    clock[0] += receiving.GROUP_SECONDS
    assert [count_tries(), count_tries()] == [2, 2]


def test_a_room_of_very_many_members_has_a_name_and_those_who_write(
    monkeypatch: pytest.MonkeyPatch, double: MatrixDouble, instance: Instance, account: Account
) -> None:
    monkeypatch.setattr(receiving, "MAX_LIST_BYTES", 10_000)
    for number in range(100):
        account.events.append((ROOM, state(groups.MEMBER, {"membership": "join"}, f"@user{number}:{SERVER}")))
    double.change(account, ROOM, "m.room.name", {"name": "Everyone"}, by=ANN)
    for number in range(TIMELINE):
        double.write(account, ROOM, said("chat", str(number), ""), sender=ANN)
    MESSENGER.cursors[instance.pk] = f"s{len(account.events) - TIMELINE}"  # the members were there before
    MESSENGER.deliver(instance)
    assert Chat.objects.get(chat_id=CHAT).name == "Everyone"
    assert set(people(CHAT)) == {chat_id(account.user), chat_id(ANN)}


BOT = f"@bot:{SERVER}"


def state(kind: Any, content: Any, key: Any = "", **more: Any) -> dict[str, Any]:
    return {"type": kind, "state_key": key, "content": content, "sender": ANN, "event_id": "$1", **more}


def test_members_and_admins_of_a_state() -> None:
    joined = [state(groups.MEMBER, {"membership": "join"}, user) for user in (BEN, ANN)]
    gone = [
        state(groups.MEMBER, {"membership": one}, f"@{one}:{SERVER}")
        for one in ("leave", "invite", "ban", "knock")
    ]

    def admins(*more: dict[str, Any]) -> list[str]:
        found = groups.group_of(CHAT, [*joined, *gone, *more], is_known=False)
        assert [person for person, _ in found.members] == [(chat_id(ANN),), (chat_id(BEN),)]
        return [person[0] for person, is_admin in found.members if is_admin]

    created = state(groups.CREATE, {"room_version": "11"})
    newer = state(groups.CREATE, {"room_version": "12", "additional_creators": [BEN, 7]})
    assert admins(created) == [chat_id(ANN)], "without levels, the creator is the only admin"
    assert admins(created, state(groups.LEVELS, {"users": {BEN: 100, ANN: 50}})) == [chat_id(BEN)]
    assert admins(created, state(groups.LEVELS, {"users": {ANN: "100"}, "users_default": 100})) == [
        chat_id(BEN)
    ]
    assert admins(newer, state(groups.LEVELS, {})) == [chat_id(ANN), chat_id(BEN)]


@pytest.mark.parametrize(
    "event",
    [
        {"type": groups.MEMBER, "content": {"membership": "leave"}, "sender": BEN, "event_id": "$1"},
        state(groups.MEMBER, {"membership": "join"}, ["@eve:example.org"]),
        state(groups.MEMBER, {"membership": "join"}, "eve"),
        state(groups.MEMBER, {"membership": "join"}, f"@{'e' * 300}:example.org"),
        state(groups.MEMBER, {"membership": "join"}, "@e\x00ve:example.org"),
        {"type": groups.NAME, "content": {"name": "of a message"}, "sender": BEN, "event_id": "$1"},
        state(groups.NAME, {"name": ["Trip"]}),
        state(groups.NAME, ["Trip"]),
        state(groups.NAME, {"name": "other"}, "key"),
    ],
)
def test_events_that_strangers_can_send_or_that_are_malformed_change_nothing(event: dict[str, Any]) -> None:
    assert Room(ROOM, BOT, False).read([event]) == []
    found = groups.group_of(CHAT, [event, state([], {}), state("x", None)], is_known=False)
    assert (found.name, found.members) == ("", ())


def test_many_who_join_between_two_messages_are_one_change() -> None:
    def joins(*numbers: int) -> list[dict[str, Any]]:
        return [state(groups.MEMBER, {"membership": "join"}, f"@{number}:{SERVER}") for number in numbers]

    message = {
        "type": "m.room.message",
        "event_id": "$m",
        "sender": ANN,
        "content": said("chat", "hello", ""),
    }
    left = state(groups.MEMBER, {"membership": "leave"}, f"@1:{SERVER}")
    first, second, third = Room(ROOM, BOT, False).read([*joins(1, 2, 3), left, message, *joins(4)])
    assert first == GroupChanged(
        CHAT,
        joined=((chat_id(f"@2:{SERVER}"),), (chat_id(f"@3:{SERVER}"),)),
        left=((chat_id(f"@1:{SERVER}"),),),
    )
    assert isinstance(second, MessageReceived)
    assert third == GroupChanged(CHAT, joined=((chat_id(f"@4:{SERVER}"),),))


def test_a_huge_room_with_a_long_name_is_stored_in_part(
    double: MatrixDouble, instance: Instance, account: Account, room: str
) -> None:
    for number in range(MAX_PARTICIPANTS + 100):
        account.events.append((room, state(groups.MEMBER, {"membership": "join"}, f"@user{number}:{SERVER}")))
    double.change(account, room, "m.room.name", {"name": "\x1b[31m Trip\n\u2028" + "x" * 10_000}, by=ANN)
    MESSENGER.deliver(instance)
    assert len(people(CHAT)) == MAX_PARTICIPANTS and chat_id(account.user) in people(CHAT)
    name = Chat.objects.get(chat_id=CHAT).name
    assert len(name) == 200 and name.startswith("[31m Trip xxx")
