"""The channel against a real homeserver: what it accepts from the channel, and what it reports."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from hooks import http
from instances.actions.chats.chats import Denied
from instances.actions.received import record_events
from instances.channels.linking import NotLinkable
from instances.channels.links import link_of_instance
from instances.channels.matrix import account, commands, invitations, receiving, sending
from instances.channels.matrix.timeline import ENCRYPTED
from instances.channels.media import FileUnavailable
from instances.channels.receiving import LinkLost
from instances.channels.requests import File, MessageToSend, Refused, Result, Sent, Unlinked, Uploaded, Wait
from instances.commands import LeaveGroup, ReadChat, ShowActivity
from instances.models import Chat
from instances.received_events import (
    ChatMoved,
    ChatViewed,
    CredentialsRenewed,
    GroupChanged,
    GroupJoined,
    Media,
    MessageReceived,
    MessageTyped,
    ReceivedEvent,
    StatusReported,
)
from instances.receiving.linking import link_account
from instances.receiving.messenger_calls import call_messenger
from tests.factories import InstanceFactory
from tests.instances.channels.matrix.receiver import Receiving, check, fetch, linked, received
from tests.servers.synapse import Person, Synapse

pytestmark = [pytest.mark.timeout(900)]
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def ann(synapse: Synapse) -> Person:
    return synapse.register("ann", name="Ann")


class Account:
    """The account of an instance: linked to the channel, and with a client of its own."""

    def __init__(self, synapse: Synapse, name: str) -> None:
        self.person = synapse.register(name, name=f"The {name}")
        self.user = self.person.user
        self.values = {"user": self.user, "password": self.person.password, "homeserver": synapse.url}
        self.receiving: Receiving = linked(**self.values)

    def send(self, room: str, body: str = "hello", **more: Any) -> Result:
        """Make the requests of a message, one after the other, as the sender does."""
        fields = {"message_id": f"true_{body}", "type": "chat", "chat_id": f"matrix:{room}@g.us", **more}
        message, result = MessageToSend(body=body, **fields), None
        while result is None or isinstance(result, Uploaded):
            request = sending.prepare(message, self.receiving.link, result.value if result else None)
            assert not isinstance(request, Refused)
            content = b"a file" if request.body_path else request.body
            response = http.send(request.method, request.url, request.headers.items(), content)
            result = sending.read(request, response)
        return result


@pytest.fixture
def bot(synapse: Synapse) -> Account:
    return Account(synapse, f"bot{next(NUMBERS)}")


def test_what_was_written_since_the_invitation_arrives_and_nothing_older(bot: Account, ann: Person) -> None:
    room = ann.create_room(preset="public_chat")
    ann.write(room, "before")
    ann.call("POST", f"/rooms/{room}/invite", json={"user_id": bot.user})
    ann.write(room, "1")
    ann.write(room, "2")
    found = bot.receiving.messages(2)
    assert [(message.body, message.sender_name) for message in found] == [("1", "Ann"), ("2", "Ann")]
    assert {message.chat_id for message in found} == {f"matrix:{room}@g.us"}
    assert {message.sender for message in found} == {f"matrix:{ann.user}@c.us"}
    assert bot.user in ann.members(room)


def test_invitations_beyond_the_limit_are_declined_until_the_hour_has_passed(
    bot: Account, ann: Person, synapse: Synapse, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(invitations.limits_of(bot.user), "clock", lambda: clock[0])
    monkeypatch.setattr(invitations, "SENDER_PER_HOUR", 2)
    rooms = [ann.create_room(bot.user) for _ in range(3)]
    for room in rooms:
        ann.write(room, room)
    found = bot.receiving.messages(2)
    declined = (set(rooms) - {message.body for message in found}).pop()
    assert bot.user not in ann.members(declined)
    ben = synapse.register(f"ben{next(NUMBERS)}")
    ben.write(ben.create_room(bot.user), "another user")
    assert [message.body for message in bot.receiving.messages(1)] == ["another user"]
    clock[0] = invitations.HOUR
    ann.call("POST", f"/rooms/{declined}/invite", json={"user_id": bot.user})
    ann.write(declined, "again")
    assert [message.body for message in bot.receiving.messages(1)] == ["again"]
    monkeypatch.setattr(invitations, "MAX_ROOMS", 4)
    full = ann.create_room(bot.user)
    ann.write(rooms[0], "done")
    assert [message.body for message in bot.receiving.messages(1)] == ["done"]
    assert bot.user not in ann.members(full)


def test_a_direct_chat_stays_one_after_a_new_connection(bot: Account, ann: Person) -> None:
    room = ann.create_room(bot.user, is_direct=True)
    ann.write(room, "1")
    assert [message.chat_id for message in bot.receiving.messages(1)] == [f"matrix:{room}@c.us"]
    ann.write(room, "2")
    assert [message.chat_id for message in bot.receiving.messages(1)] == [f"matrix:{room}@c.us"]


def test_long_events_of_many_rooms_do_not_stop_the_others(
    bot: Account, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = [ann.create_room(bot.user) for _ in range(3)]
    for room in rooms:
        ann.write(room, "here")
    bot.receiving.messages(3)
    bodies = [[f"{number} {'long ' * 2_000}" for number in range(4)] for _ in rooms]
    for room, written in zip(rooms, bodies, strict=True):
        for body in written:
            ann.write(room, body)
    monkeypatch.setattr(receiving, "MAX_EVENTS_BYTES", 100_000)  # of 120 KB
    found = bot.receiving.messages(12)
    for room, written in zip(rooms, bodies, strict=True):
        assert [each.body for each in found if each.chat_id == f"matrix:{room}@g.us"] == written


def test_a_gap_is_filled_in_order_and_nothing_arrives_twice(
    bot: Account, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "PAGE", 10)
    room = ann.create_room(bot.user, is_direct=True)
    ann.write(room, "first")
    bot.receiving.messages(1)
    for number in range(80):
        ann.write(room, str(number))
    found = bot.receiving.messages(80)
    assert [message.body for message in found] == [str(number) for number in range(80)]
    assert len({message.key for message in found}) == 80
    ann.write(room, "later")
    assert [message.body for message in bot.receiving.messages(1)] == ["later"]


def test_a_message_is_sent_once_however_often_it_is_tried(bot: Account, ann: Person) -> None:
    room = ann.create_room(bot.user, is_direct=True)
    ann.write(room, "hello")
    bot.receiving.messages(1)
    first, second = bot.send(room, "once"), bot.send(room, "once")
    assert isinstance(first, Sent) and first.messenger_id.startswith("$") and second == first
    typed = bot.person.write(room, "typed in another client")
    found = bot.receiving.until(lambda events: any(isinstance(event, MessageTyped) for event in events))
    assert [(event.key, event.body) for event in found if isinstance(event, MessageTyped)] == [
        (typed, "typed in another client")
    ]
    assert ann.bodies(room, sender=bot.user) == ["once", "typed in another client"]
    ann.read(room, first.messenger_id)
    found = bot.receiving.until(lambda events: any(isinstance(event, ChatViewed) for event in events))
    [viewed] = [event for event in found if isinstance(event, ChatViewed)]
    assert (viewed.chat_id, viewed.messenger_id) == (f"matrix:{room}@c.us", first.messenger_id)

    deletion = bot.send(room, "", message_id="d", deletes="x", deletes_messenger_id=first.messenger_id)
    assert deletion == Sent(())
    assert ann.bodies(room, sender=bot.user) == ["typed in another client"]


def test_an_encrypted_room_is_named(bot: Account, ann: Person) -> None:
    encryption = {
        "type": "m.room.encryption",
        "state_key": "",
        "content": {"algorithm": "m.megolm.v1.aes-sha2"},
    }
    room = ann.create_room(bot.user, is_direct=True, initial_state=[encryption])
    ann.send(room, {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "?"}, type="m.room.encrypted")
    [message] = bot.receiving.messages(1)
    assert message.sender_name == "Ann"
    assert (message.body, message.key) == (ENCRYPTED, f"encrypted {room}")


def test_refusals_are_explained(bot: Account, ann: Person) -> None:
    room = ann.create_room()
    refused = bot.send(room)
    assert isinstance(refused, Refused) and refused.reason.startswith("The account is not in this room")
    phone = bot.send(room, chat_id="17680561234@c.us")
    assert phone == Refused(sending.NO_ROOM)
    large = bot.send(ann.create_room(bot.user), "x" * 70_000)
    assert isinstance(large, Refused)


def test_a_limit_is_waited_for_as_long_as_the_homeserver_asks(
    synapse: Synapse, bot: Account, ann: Person
) -> None:
    room = ann.create_room(bot.user, is_direct=True)
    ann.write(room, "hello")
    bot.receiving.messages(1)
    synapse.limit(bot.user, messages_per_second=1, burst=1)
    results = [bot.send(room, str(number)) for number in range(5)]
    waits = [result for result in results if isinstance(result, Wait)]
    assert waits, results
    assert all(wait.seconds and 0 < wait.seconds <= 10 for wait in waits), waits


def test_a_link_is_checked_before_it_is_saved(synapse: Synapse, bot: Account) -> None:
    given = {"user": bot.user, "homeserver": f"{synapse.url}/"}
    found = check(access_token=bot.person.token, **given)
    assert (found.external_id, found.own_chat_id, found.name) == (
        bot.user,
        f"matrix:{bot.user}@c.us",
        bot.user,
    )
    assert found.credentials == {"access_token": bot.person.token}
    assert found.options["base_url"] == synapse.url and found.options["device_id"]
    wrong = {
        "password": {"password": "wrong", **given},
        "access_token": {"access_token": "wrong", **given},
        "homeserver": {"password": "x", "user": bot.user, "homeserver": "http://127.0.0.1:1"},
    }
    for field, values in wrong.items():
        with pytest.raises(NotLinkable) as refused:
            check(**values)
        assert refused.value.field == field, refused.value.sentence
    with pytest.raises(NotLinkable) as refused:
        check(user="@other:localhost", access_token=bot.person.token, homeserver=synapse.url)
    assert refused.value.field == "access_token" and bot.user in refused.value.sentence


def device_ids(person: Person) -> set[str]:
    return {device["device_id"] for device in person.call("GET", "/devices")["devices"]}


def test_the_check_of_a_password_leaves_no_session_behind(synapse: Synapse) -> None:
    person = synapse.register("careful")
    given = {"user": person.user, "homeserver": synapse.url, "access_token": person.token}
    with pytest.raises(NotLinkable) as refused:
        check(password="wrong", **given)
    assert refused.value.field == "password"
    before = device_ids(person)
    found = check(password=person.password, **given)
    assert found.credentials == {"access_token": person.token, "password": person.password}
    assert device_ids(person) == before


def test_unlinking_signs_out_the_session_of_a_password_and_no_token_that_a_person_entered(
    synapse: Synapse,
) -> None:
    by_password = Account(synapse, "signed_out").receiving.link
    person = synapse.register("kept")
    by_token = linked(user=person.user, access_token=person.token, homeserver=synapse.url).link
    for link, is_kept in ((by_password, False), (by_token, True)):
        assert call_messenger(lambda network, link=link: account.disconnect(link, network)) == ""  # type: ignore[misc]
        client = Person(synapse, link.external_id, link.credentials["access_token"])
        assert client.request("GET", "/account/whoami").status_code == (200 if is_kept else 401)
    assert call_messenger(lambda network: account.disconnect(by_password, network)) == "", "ended already"


def test_a_session_that_has_expired_is_renewed_with_the_password(synapse: Synapse, ann: Person) -> None:
    bot = Account(synapse, "expiring")
    room = ann.create_room(bot.user, is_direct=True)
    ann.write(room, "1")
    bot.receiving.messages(1)
    without_password = Receiving(
        dataclasses.replace(
            bot.receiving.link, credentials={"access_token": bot.receiving.link.credentials["access_token"]}
        )
    )
    synapse.kill()
    with contextlib.closing(sqlite3.connect(synapse.database)) as database, database:
        database.execute("UPDATE access_tokens SET valid_until_ms = 1 WHERE user_id = ?", [bot.user])
    synapse.start()
    ann.write(room, "2")
    assert isinstance(bot.send(room), Unlinked)
    with pytest.raises(LinkLost, match="Link the instance again, with the password"):
        without_password.messages(1)
    old = bot.receiving.link
    found = bot.receiving.until(lambda events: len(received(events)) >= 1)
    assert [type(event) for event in found] == [CredentialsRenewed, StatusReported, MessageReceived]
    assert bot.receiving.link.credentials["access_token"] != old.credentials["access_token"]
    assert isinstance(bot.send(room, "again"), Sent)
    renewed = Person(synapse, bot.user, bot.receiving.link.credentials["access_token"])
    devices = renewed.call("GET", "/devices")["devices"]
    assert old.options["device_id"] in [device["device_id"] for device in devices]


@pytest.mark.django_db
def test_an_account_that_is_linked_again_sends_no_message_twice(
    synapse: Synapse, bot: Account, ann: Person
) -> None:
    """What was sent, and perhaps not recorded, stays one message, and is not one that was typed elsewhere."""
    instance = InstanceFactory(channel="matrix", account_status="init")
    link_account(instance, bot.values, acting_user=None)
    bot.receiving = Receiving(link_of_instance(instance))
    room = ann.create_room(bot.user, is_direct=True)
    ann.write(room, "hello")
    bot.receiving.messages(1)
    sent = bot.send(room, "once")
    link_account(instance, bot.values | {"homeserver": f"{synapse.url}/"}, acting_user=None)
    bot.receiving.link, old = link_of_instance(instance), bot.receiving.link
    assert bot.receiving.link.credentials["access_token"] != old.credentials["access_token"]
    assert isinstance(sent, Sent) and bot.send(room, "once") == sent
    assert ann.bodies(room, sender=bot.user) == ["once"]
    ann.write(room, "later")
    found = bot.receiving.until(lambda events: bool(received(events)))
    assert not [event for event in found if isinstance(event, MessageTyped)]
    assert bot.receiving.link.options["since"] == old.options["since"]


def test_all_that_was_written_since_a_late_entry_arrives(
    bot: Account, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The product was down when the account was invited: more was written since than one response has."""
    monkeypatch.setattr(receiving, "PAGE", 20)
    room = ann.create_room(preset="public_chat")
    ann.write(room, "before")
    ann.call("POST", f"/rooms/{room}/invite", json={"user_id": bot.user})
    for number in range(75):
        ann.write(room, str(number))
    found = bot.receiving.messages(75)
    assert [message.body for message in found] == [str(number) for number in range(75)]


def test_a_file_is_fetched_with_the_token(bot: Account, ann: Person) -> None:
    room = ann.create_room(bot.user, is_direct=True)
    uri = ann.upload(b"a picture", "image/png", "view.png")
    ann.send(room, {"msgtype": "m.image", "body": "view.png", "url": uri, "info": {"size": 9}})
    [message] = bot.receiving.messages(1)
    assert message.media is not None and message.media.size == 9
    assert fetch(bot.receiving.link, message.media) == (b"a picture", "image/png")
    for wrong in (
        "mxc://localhost/nothing",
        "https://example.com/a.png",
        "mxc://localhost",
        "mxc://../x",
        "mxc://localhost/..",
    ):
        with pytest.raises(FileUnavailable):
            fetch(bot.receiving.link, Media(wrong))


def test_commands_are_seen_by_others(db: None, bot: Account, ann: Person) -> None:
    room = ann.create_room(bot.user, is_direct=True)
    event = ann.write(room, "hello")
    [message] = bot.receiving.messages(1)
    chat_id = f"matrix:{room}@c.us"
    instance = InstanceFactory(url="https://example.com/hook")
    link = bot.receiving.link
    commands.show_activity(instance, link, ShowActivity(chat_id, Chat.Activity.TYPING, 20))
    typing = [each for each in ann.ephemeral(room) if each["type"] == "m.typing"]
    assert typing[0]["content"]["user_ids"] == [bot.user]
    record_events(instance, [message], is_patient=False)
    commands.read_chat(instance, link, ReadChat(chat_id), event)
    receipts = [each["content"] for each in ann.ephemeral(room) if each["type"] == "m.receipt"]
    assert bot.user in receipts[0][event]["m.read"]
    commands.leave(instance, link, LeaveGroup(chat_id))
    assert bot.user not in ann.members(room)
    with pytest.raises(Denied, match="The account is not in this room"):
        commands.show_activity(instance, link, ShowActivity(chat_id, Chat.Activity.TYPING, 20))
    commands.log_out(link)
    assert isinstance(bot.send(room), Unlinked)


def test_a_message_to_a_user_begins_one_direct_chat(bot: Account, ann: Person) -> None:
    file = File("notes.txt", "text/plain", 6, "1/notes.txt", "https://example.com/notes.txt")
    more: dict[str, Any] = {"chat_id": f"matrix:{ann.user}@c.us"}
    results = [
        bot.send("", "good day", **more),
        bot.send("", "good day", **more),
        bot.send("", "the same room, which is not remembered yet", **more),
        bot.send("", "", type="document", file=file, **more),
    ]
    sent = [result for result in results if isinstance(result, Sent)]
    assert len(sent) == 4, results
    [room] = {result.messenger_chat_id for result in sent}
    ann.join(room)
    expected = ["good day", "the same room, which is not remembered yet", "notes.txt"]
    assert ann.bodies(room, sender=bot.user) == expected
    ann.write(room, "who is it?")
    [message] = bot.receiving.messages(1)
    assert message.chat_id == f"matrix:{room}@c.us", "a direct chat, also for the account"
    remembered = {**more, "messenger_chat_id": room}
    assert isinstance(bot.send("", "remembered", **remembered), Sent)
    wrong = bot.send("", "x", chat_id="matrix:@no user@c.us")
    assert isinstance(wrong, Refused)


@pytest.mark.parametrize("join_rule", ["public", "invite"])
def test_a_room_that_was_replaced_is_followed(bot: Account, ann: Person, join_rule: str) -> None:
    rule = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": join_rule}}
    room = ann.create_room(bot.user, is_direct=True, initial_state=[rule])
    ann.write(room, "here")
    bot.receiving.messages(1)
    replacement = ann.call("POST", f"/rooms/{room}/upgrade", json={"new_version": "11"})["replacement_room"]
    if join_rule == "invite":
        ann.call("POST", f"/rooms/{replacement}/invite", json={"user_id": bot.user, "is_direct": True})
    moved = ChatMoved(f"matrix:{room}@c.us", replacement)
    assert moved in bot.receiving.until(lambda events: moved in events)
    ann.write(replacement, "there")
    [message] = bot.receiving.messages(1)
    assert (message.body, message.chat_id) == ("there", f"matrix:{replacement}@c.us")


def test_a_group_has_its_name_its_members_and_its_admins(
    synapse: Synapse, bot: Account, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "GROUP_SECONDS", 0.0)
    ben = synapse.register(f"ben{next(NUMBERS)}")
    room = ann.create_room(bot.user, ben.user, name="Trip", preset="private_chat")
    ben.join(room)
    where = f"matrix:{room}@g.us"
    own, hers, his = ((f"matrix:{user}@c.us",) for user in (bot.user, ann.user, ben.user))
    [entered] = bot.receiving.until(lambda events: any(isinstance(one, GroupJoined) for one in events))[:1]
    assert isinstance(entered, GroupJoined) and (entered.chat_id, entered.name) == (where, "Trip")
    assert dict(entered.members) == {own: False, hers: True, his: False} and not entered.is_known

    ann.call("PUT", f"/rooms/{room}/state/m.room.name", json={"name": "Rome"})
    ann.call("POST", f"/rooms/{room}/kick", json={"user_id": ben.user})
    path = f"/rooms/{room}/state/m.room.power_levels"
    levels = ann.call("GET", path) | {"users": {bot.user: 100}}  # and Ann, who has created the room
    ann.call("PUT", path, json=levels)
    ann.write(room, "done")
    found = bot.receiving.until(lambda events: bool(received(events)))
    state = next(event for event in found if isinstance(event, GroupJoined))
    assert (state.name, dict(state.members)) == ("Rome", {own: True, hers: True})
    changes = [event for event in found if isinstance(event, GroupChanged)]
    assert any(event.name == "Rome" for event in changes) and any(event.left == (his,) for event in changes)

    ann.call("POST", f"/rooms/{room}/kick", json={"user_id": bot.user})
    gone = bot.receiving.until(bool)
    assert gone == [GroupChanged(where, left=(own,))]


def test_what_the_account_writes_in_a_room_that_it_has_joined_by_itself_is_no_entry(
    bot: Account, ann: Person
) -> None:
    room = ann.create_room(preset="public_chat")
    bot.receiving.until(lambda events: True)
    bot.person.join(room)
    bot.receiving.until(lambda events: any(isinstance(event, GroupJoined) for event in events))
    steps = iter((lambda: bot.send(room), lambda: ann.write(room, "last")))

    def is_last(events: Sequence[ReceivedEvent]) -> bool:
        """Of one connection: the group is read, then the account writes, then Ann does."""
        if events:
            next(steps, lambda: None)()
        return any(message.body == "last" for message in received(events))

    ann.write(room, "first")
    found = bot.receiving.until(is_last)
    assert sum(isinstance(event, GroupJoined) for event in found) == 1
