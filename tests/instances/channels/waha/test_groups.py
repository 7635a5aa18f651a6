"""What WAHA reports of groups: each change is one chatUpdate hook, also one that the account has made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from instances.actions.received import record_events
from instances.actions.settings import change_settings
from instances.channels.links import link_of_instance
from instances.channels.receiving import MAX_RESPONSE_BYTES, GroupLookup, ResponseTooLarge
from instances.models import Chat, Instance
from instances.received_events import ReceivedEvent
from instances.receiving.network import LoopNetwork
from tests.doubles.waha import ENGINES, Session
from tests.factories import InstanceFactory
from tests.instances.channels.group_chats import people, shown_names, updates
from tests.instances.channels.waha.messenger import CHANNEL, WahaMessenger, callback_of

OWN, ANN, BEN = "15550001111@c.us", "17680561234@c.us", "4915112345678@c.us"
HIDDEN = "98765432101234@lid"
GROUP = "120363000000000001@g.us"
MESSENGERS = {engine: WahaMessenger(engine) for engine in ENGINES}
Post = Callable[..., Any]

pytestmark = pytest.mark.django_db


@pytest.fixture(params=ENGINES)
def messenger(request: pytest.FixtureRequest, settings: Any) -> WahaMessenger:
    settings.WAHA_SERVERS = {}
    return MESSENGERS[request.param]


@pytest.fixture
def instance(messenger: WahaMessenger) -> Instance:
    found: Instance = InstanceFactory(
        channel="waha", phone="15550001111", url="https://example.com/hook", token="secret"
    )
    messenger.by_instance.pop(found.number, None)
    messenger.delivered.pop(found.number, None)
    messenger.link(found)
    change_settings(found, changes={"chatUpdateOn": True})
    return found


@pytest.fixture
def session(messenger: WahaMessenger, instance: Instance) -> Session:
    return messenger.session(instance)


@pytest.fixture
def group(messenger: WahaMessenger, instance: Instance, session: Session) -> Chat:
    """A group of Ann, Ben and the account, which Ann has added."""
    session.join(GROUP, "Trip", {ANN: "superadmin", BEN: "participant", OWN: "participant"})
    messenger.deliver_new(instance)
    return Chat.objects.get(chat_id=GROUP)


@pytest.fixture
def post(client: Client, instance: Instance) -> Post:
    def call(method: str, **arguments: Any) -> Any:
        url = f"/instance{instance.number}/{method}?token=secret"
        response = client.post(url, arguments, content_type="application/json")
        assert response.status_code == 200, response.content
        return response.json()

    return call


def test_the_account_is_added_to_a_group(instance: Instance, group: Chat) -> None:
    [(old, new)] = updates(instance)
    assert old is None and (new["id"], new["name"]) == (GROUP, "Trip")
    assert new["metadata"]["participants"] == [ANN, BEN, OWN] and new["metadata"]["admins"] == [ANN]


@pytest.mark.parametrize(
    ("type", "person", "expected"),
    [
        ("join", HIDDEN, {ANN: True, BEN: False, OWN: False, HIDDEN: False}),
        ("leave", BEN, {ANN: True, OWN: False}),
        ("leave", ANN, {BEN: False, OWN: False}),
        ("promote", BEN, {ANN: True, BEN: True, OWN: False}),
        ("promote", HIDDEN, {ANN: True, BEN: False, OWN: False, HIDDEN: True}),
        ("demote", ANN, {ANN: False, BEN: False, OWN: False}),
    ],
)
def test_people_come_and_go(
    messenger: WahaMessenger,
    instance: Instance,
    session: Session,
    group: Chat,
    type: str,
    person: str,
    expected: dict[str, bool],
) -> None:
    session.change_participants(GROUP, type, person)
    messenger.deliver_new(instance)
    assert people(GROUP) == expected
    _, (old, new) = updates(instance)
    assert old is not None and old["metadata"]["participants"] == [ANN, BEN, OWN]
    assert new["metadata"]["participants"] == list(expected)
    messenger.deliver(instance, session.events[-1])
    assert people(GROUP) == expected and len(updates(instance)) == 2, "WAHA sends an event again"


def test_a_person_with_two_ids_is_one_participant(
    messenger: WahaMessenger, instance: Instance, session: Session, group: Chat
) -> None:
    """The group knows Ben by his number; events name him by the id that hides it, and by the number."""
    session.change_participants(GROUP, "promote", HIDDEN, numbers={HIDDEN: BEN})
    messenger.deliver_new(instance)
    assert people(GROUP) == {ANN: True, BEN: True, OWN: False}
    session.change_participants(GROUP, "leave", HIDDEN, numbers={HIDDEN: BEN})
    messenger.deliver_new(instance)
    assert people(GROUP) == {ANN: True, OWN: False}


def write_and_look_up(
    messenger: WahaMessenger, instance: Instance, person: str, name: str
) -> list[GroupLookup]:
    """Write in the group, and look up what a receiver would; returns that."""
    session = messenger.session(instance)
    session.write(GROUP, "hello", name=name, participant=person)
    callback = callback_of(session.events[-1], f"hmac-key-of-{session.name}")
    messenger.deliver_new(instance)
    link = link_of_instance(instance)
    wanted = list(CHANNEL.lookups(CHANNEL.read_callback(link, callback)))

    async def ask() -> list[ReceivedEvent]:
        network = LoopNetwork()
        return [event for one in wanted for event in await CHANNEL.look_up(link, one, network)]

    record_events(instance, asyncio.run(ask()), is_patient=False)
    return wanted


def test_a_person_of_a_group_who_writes_by_another_id_is_one_participant(
    messenger: WahaMessenger, instance: Instance, session: Session, group: Chat
) -> None:
    session.lids = {HIDDEN: BEN}
    everyone = {ANN: True, BEN: False, OWN: False}
    assert write_and_look_up(messenger, instance, HIDDEN, "Ben") == [GroupLookup(GROUP, HIDDEN)]
    assert people(GROUP) == everyone and shown_names(instance, GROUP)[BEN] == "Ben"
    before = len(updates(instance))
    write_and_look_up(messenger, instance, HIDDEN, "Ben Smith")
    assert people(GROUP) == everyone and shown_names(instance, GROUP)[BEN] == "Ben Smith"
    assert len(updates(instance)) == before, "the second id is remembered"
    session.change_participants(GROUP, "promote", HIDDEN)
    messenger.deliver_new(instance)
    assert people(GROUP) == {**everyone, BEN: True}
    session.change_participants(GROUP, "leave", HIDDEN)
    messenger.deliver_new(instance)
    assert people(GROUP) == {ANN: True, OWN: False}


def test_a_person_whose_number_whatsapp_does_not_tell_stays_hidden(
    messenger: WahaMessenger, instance: Instance, session: Session, group: Chat
) -> None:
    assert write_and_look_up(messenger, instance, HIDDEN, "Eve") == [GroupLookup(GROUP, HIDDEN)]
    assert people(GROUP) == {ANN: True, BEN: False, OWN: False, HIDDEN: False}
    assert write_and_look_up(messenger, instance, ANN, "Ann") == [], "she writes by her number"


def test_of_one_person_little_is_read(
    messenger: WahaMessenger, instance: Instance, session: Session, group: Chat
) -> None:
    """A person's own server may respond with megabytes each time."""
    session.lids = {HIDDEN: "1" * MAX_RESPONSE_BYTES + "@c.us"}
    with pytest.raises(ResponseTooLarge):
        write_and_look_up(messenger, instance, HIDDEN, "Ben")


def test_the_account_is_one_participant_if_the_group_hides_numbers(
    messenger: WahaMessenger, instance: Instance, session: Session
) -> None:
    assert session.me is not None
    session.me["lid"] = HIDDEN
    session.join(GROUP, "Trip", {ANN: "admin", HIDDEN: "participant"})
    messenger.deliver_new(instance)
    assert people(GROUP) == {ANN: True, OWN: False}


def test_the_name_changes(
    messenger: WahaMessenger, instance: Instance, session: Session, group: Chat
) -> None:
    for subject in ("Holidays", None, "Holidays"):
        session.rename(GROUP, subject)
    messenger.deliver_new(instance)
    _, (old, new) = updates(instance)
    assert old is not None and (old["name"], new["name"]) == ("Trip", "Holidays")


def test_the_account_leaves_and_is_added_again(
    messenger: WahaMessenger, instance: Instance, session: Session, group: Chat
) -> None:
    session.leave(GROUP)
    messenger.deliver_new(instance)
    group.refresh_from_db()
    assert group.left_at is not None and people(GROUP) == {ANN: True, BEN: False}
    session.join(GROUP, "Trip", {ANN: "superadmin", OWN: "participant"})
    messenger.deliver_new(instance)
    group.refresh_from_db()
    assert group.left_at is None and people(GROUP) == {ANN: True, OWN: False}
    assert len(updates(instance)) == 3


def test_events_that_arrive_late_undo_nothing(
    messenger: WahaMessenger, instance: Instance, session: Session, group: Chat
) -> None:
    """While this site does not take an event, WAHA sends the next ones."""
    known = len(session.events)
    session.join(GROUP, "Trip", {ANN: "participant", BEN: "participant", OWN: "participant"})
    session.change_participants(GROUP, "leave", BEN)
    session.change_participants(GROUP, "promote", ANN)
    session.rename(GROUP, "Rome")
    session.change_participants(GROUP, "join", HIDDEN)
    session.rename(GROUP, "Paris")
    late = session.events[known:]
    for second, event in enumerate(late, start=1):
        event["timestamp"] += 1_000 * second
    for event in reversed(late):
        messenger.deliver(instance, event)
    group.refresh_from_db()
    assert people(GROUP) == {ANN: True, OWN: False, HIDDEN: False} and group.name == "Paris"


def test_changes_of_a_group_that_has_no_chat_are_left_out(
    messenger: WahaMessenger, instance: Instance, session: Session
) -> None:
    session.change_participants(GROUP, "join", ANN)
    session.rename(GROUP, "Trip")
    session.leave(GROUP)
    messenger.deliver_new(instance)
    assert not Chat.objects.exists()


@pytest.mark.parametrize("is_reported_first", [False, True])
def test_a_group_that_the_account_makes_is_one_chat(
    messenger: WahaMessenger,
    instance: Instance,
    session: Session,
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
    is_reported_first: bool,
) -> None:
    """The event may be recorded before the response: then no second group is made."""
    if is_reported_first:
        deliver_during_calls(messenger, instance, monkeypatch)
    made = post("group", groupName="Trip", phones=ANN.partition("@")[0], messageText="hello")
    messenger.deliver_new(instance)
    assert made["created"] is True and made["chatId"] == Chat.objects.get().chat_id
    assert made["groupInviteLink"] is None, "a link of this site does not open a group of WhatsApp"
    assert [one["event"] for one in session.events].count("group.v2.join") == 1
    new = updates(instance)[-1][1]
    assert (new["name"], new["metadata"]["participants"], new["metadata"]["admins"]) == (
        "Trip",
        [OWN, ANN],
        [OWN],
    )


@pytest.mark.parametrize("is_reported_first", [False, True])
def test_what_the_account_changes_is_recorded_once(
    messenger: WahaMessenger,
    instance: Instance,
    group: Chat,
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
    is_reported_first: bool,
) -> None:
    """WhatsApp decides whether it may: the product may not know that the account is an admin."""
    if is_reported_first:
        deliver_during_calls(messenger, instance, monkeypatch)
    person = {"groupId": GROUP, "participantChatId": BEN}
    for method, key, expected in (
        ("promoteGroupParticipant", "promote", {ANN: True, BEN: True, OWN: False}),
        ("demoteGroupParticipant", "demote", {ANN: True, BEN: False, OWN: False}),
        ("removeGroupParticipant", "remove", {ANN: True, OWN: False}),
        ("addGroupParticipant", "add", {ANN: True, OWN: False, BEN: False}),
    ):
        before = len(updates(instance))
        assert post(method, **person)[key] is True, method
        messenger.deliver_new(instance)
        assert people(GROUP) == expected, method
        assert len(updates(instance)) == before + 1, method
    post("leaveGroup", chatId=GROUP)
    messenger.deliver_new(instance)
    assert OWN not in people(GROUP) and Chat.objects.get().left_at is not None


@pytest.mark.parametrize(
    "given", ["https://chat.whatsapp.com/Ab1CdEfGhIjKlMnOpQrStU?mode=ac_t", "Ab1CdEfGhIjKlMnOpQrStU"]
)
def test_the_account_joins_a_group_by_a_link_of_whatsapp_or_its_code(
    messenger: WahaMessenger, instance: Instance, session: Session, post: Post, given: str
) -> None:
    joined = "120363000000000777@g.us"
    session.invite_codes["Ab1CdEfGhIjKlMnOpQrStU"] = joined
    assert post("joinGroup", **{"url" if "/" in given else "code": given}) == {"chatId": joined}
    session.join(joined, "Trip", {ANN: "superadmin", OWN: "participant"})
    messenger.deliver_new(instance)
    (_, first), (_, last) = updates(instance)
    assert first["metadata"]["participants"] == [OWN], "WhatsApp's response names no members"
    assert (last["id"], last["name"]) == (joined, "Trip") and last["metadata"]["groupInviteLink"] is None
    assert set(last["metadata"]["participants"]) == {OWN, ANN} and last["metadata"]["admins"] == [ANN]


def deliver_during_calls(
    messenger: WahaMessenger, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are recorded while the command that has made them waits for its response."""
    from instances.channels.waha import commands

    call = commands.call

    def call_and_deliver(request: Any) -> Any:
        response = call(request)
        messenger.deliver_new(instance)
        return response

    monkeypatch.setattr(commands, "call", call_and_deliver)
