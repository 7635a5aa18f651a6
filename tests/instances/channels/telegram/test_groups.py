"""What Telegram reports of groups: names, who comes and goes, and administrators, as the account's chats show them."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hooks.models import Hook
from instances.actions.channel_links import save_link
from instances.actions.chats.chats import MAX_PARTICIPANTS
from instances.actions.received import record_events
from instances.actions.settings import change_settings
from instances.channels.receiving import GroupLookup, ReceiveFailed
from instances.channels.requests import Link
from instances.channels.telegram.updates import read_update
from instances.models import Chat, Instance, MembershipChange
from instances.received_events import GroupChanged, GroupJoined, MessageReceived, ReceivedEvent
from instances.receiving.network import LoopNetwork
from tests.doubles.telegram import Bot, Fault, User, flood
from tests.doubles.telegram import Chat as Group
from tests.factories import InstanceFactory
from tests.instances.channels.group_chats import people, shown_names, updates
from tests.instances.channels.telegram.messenger import ANN, CHANNEL, TelegramMessenger, credentials_of

pytestmark = pytest.mark.django_db

BEN, EVE = User(100_000_002, "Ben"), User(100_000_003, "Eve")
MESSENGER = TelegramMessenger()
SECONDS = itertools.count(10)  # from now: later than all before


def id_of(group: Group) -> str:
    return f"telegram:{group.id}@g.us"


def chat_id(user: User) -> str:
    return f"telegram:{user.id}@c.us"


@pytest.fixture
def instance(settings: Any) -> Instance:
    settings.TELEGRAM_URL = MESSENGER.double.url
    found: Instance = InstanceFactory(channel="telegram", url="https://example.com/hook", token="secret")
    MESSENGER.by_instance.pop(found.number, None)
    linked = MESSENGER.bot(found)
    save_link(
        found,
        credentials=credentials_of(linked),
        external_id=str(linked.user.id),
        own_chat_id=chat_id(linked.user),
        acting_user=None,
    )
    found.refresh_from_db()
    change_settings(found, changes={"chatUpdateOn": True})
    return found


@pytest.fixture
def bot(instance: Instance) -> Bot:
    return MESSENGER.bot(instance)


@pytest.fixture
def group(instance: Instance, bot: Bot) -> Group:
    """A group to which Ann has added the bot."""
    made = MESSENGER.double.add_group(bot, "Trip")
    MESSENGER.double.add_to_group(bot, ANN, made)
    MESSENGER.receive(instance)
    return made


def test_the_bot_is_added_to_a_group_and_its_clients_see_it(
    client: Client, instance: Instance, bot: Bot, group: Group
) -> None:
    [(old, new)] = updates(instance)
    assert old is None and (new["id"], new["name"]) == (id_of(group), "Trip")
    assert new["metadata"]["participants"] == [chat_id(bot.user)], "Telegram gives bots no list of members"
    assert new["metadata"]["groupInviteLink"] is None
    MESSENGER.double.join_group(bot, BEN, group)
    MESSENGER.receive(instance)
    url = f"/instance{instance.number}/dialog?token=secret&chatId={id_of(group)}"
    shown = client.get(url).json()
    assert shown["name"] == "Trip" and shown["metadata"]["isGroup"] is True
    assert shown["metadata"]["participants"] == [chat_id(bot.user), chat_id(BEN)]
    assert shown_names(instance, id_of(group))[chat_id(BEN)] == "Ben", "who has no chat with the bot"


def test_a_group_that_is_created_with_the_bot(instance: Instance, bot: Bot) -> None:
    made = MESSENGER.double.add_group(bot, "New")
    MESSENGER.double.write(bot, ANN, chat=made, group_chat_created=True)
    MESSENGER.receive(instance)
    [(old, new)] = updates(instance)
    assert old is None and new["name"] == "New" and people(id_of(made)) == {chat_id(bot.user): False}


def test_people_come_and_go_with_one_hook_each(instance: Instance, bot: Bot, group: Group) -> None:
    own = chat_id(bot.user)
    for person, status, expected in (
        (BEN, "member", {own: False, chat_id(BEN): False}),
        (EVE, "member", {own: False, chat_id(BEN): False, chat_id(EVE): False}),
        (BEN, "left", {own: False, chat_id(EVE): False}),
    ):
        MESSENGER.double.join_group(bot, person, group, status=status)
        repeated = bot.updates[-1]
        MESSENGER.receive(instance)
        assert people(id_of(group)) == expected
        count = len(updates(instance))
        record_events(instance, read_update(repeated, str(bot.user.id)), is_patient=False)
        assert people(id_of(group)) == expected and len(updates(instance)) == count, (
            "Telegram repeats an update"
        )
    assert len(updates(instance)) == 4


def test_an_administrator_is_told_who_the_others_are(instance: Instance, bot: Bot, group: Group) -> None:
    own = chat_id(bot.user)
    MESSENGER.double.add_to_group(bot, ANN, group, status="administrator")
    MESSENGER.double.join_group(bot, BEN, group)
    MESSENGER.double.join_group(bot, BEN, group, status="administrator")
    MESSENGER.receive(instance)
    assert people(id_of(group)) == {own: True, chat_id(BEN): True}
    MESSENGER.double.join_group(bot, BEN, group, status="restricted")
    MESSENGER.receive(instance)
    assert people(id_of(group)) == {own: True}, "restricted, and no longer a member"


def record_in_this_order(instance: Instance, bot: Bot, *numbers: int) -> None:
    """Record the updates that wait for the bot, each a second later than the one before it, in this order."""
    waiting = list(bot.updates)
    for update in waiting:
        date = int(time.time()) + next(SECONDS)
        for reported in update.values():
            if isinstance(reported, dict):
                reported["date"] = date
    bot.updates.clear()
    for number in numbers:
        record_events(instance, read_update(waiting[number], str(bot.user.id)), is_patient=False)


def test_changes_that_are_recorded_late_change_nothing(instance: Instance, bot: Bot, group: Group) -> None:
    """A callback that failed is handled after newer ones, and Telegram may send several at a time."""
    double, own = MESSENGER.double, chat_id(bot.user)
    double.join_group(bot, BEN, group)
    double.write(bot, BEN, "hello", chat=group)
    double.join_group(bot, BEN, group, status="left")
    double.join_group(bot, EVE, group)
    record_in_this_order(instance, bot, 3, 2, 1, 0)
    assert people(id_of(group)) == {own: False, chat_id(EVE): False}, "Ben has left, Eve has come"
    messages = Hook.objects.filter(endpoint=instance.pk, kind="message")
    assert messages.count() == 1, "what Ben wrote is there"

    double.rename_group(bot, ANN, group, "Rome")
    double.join_group(bot, EVE, group, status="left")
    double.join_group(bot, EVE, group)
    double.rename_group(bot, ANN, group, "Paris")
    record_in_this_order(instance, bot, 3, 2, 1, 0)
    assert people(id_of(group)) == {own: False, chat_id(EVE): False}, "Eve is back"
    assert Chat.objects.get(chat_id=id_of(group)).name == "Paris"


def test_the_bot_that_was_removed_stays_so(instance: Instance, bot: Bot, group: Group) -> None:
    MESSENGER.double.remove_from_group(bot, ANN, group)
    group.statuses.pop(bot.user.id)
    MESSENGER.double.add_to_group(bot, ANN, group)
    MESSENGER.double.remove_from_group(bot, ANN, group)
    last = len(bot.updates) - 1
    record_in_this_order(instance, bot, last, *range(last))
    chat = Chat.objects.get(chat_id=id_of(group))
    assert chat.left_at is not None and people(id_of(group)) == {}


def test_times_of_changes_are_kept_for_two_days(instance: Instance, bot: Bot, group: Group) -> None:
    MESSENGER.double.join_group(bot, BEN, group)
    MESSENGER.receive(instance)
    changes = MembershipChange.objects.filter(chat__chat_id=id_of(group), member=chat_id(BEN))
    changes.update(at=timezone.now() - timedelta(days=3))
    MESSENGER.double.join_group(bot, EVE, group)
    MESSENGER.receive(instance)
    assert not changes.exists()


def test_a_clock_that_was_ahead_does_not_hide_what_is_reported_later(
    instance: Instance, group: Group
) -> None:
    where, ben = id_of(group), (chat_id(BEN),)
    ahead = GroupChanged(where, joined=(ben,), time=timezone.now() + timedelta(hours=20))
    record_events(instance, [ahead], is_patient=False)
    record_events(instance, [GroupChanged(where, left=(ben,), time=timezone.now())], is_patient=False)
    assert chat_id(BEN) not in people(where)


def ask(instance: Instance, reported: list[ReceivedEvent]) -> list[ReceivedEvent]:
    """Look up what these events leave open, as a receiver does."""

    async def look_up_all() -> list[ReceivedEvent]:
        network = LoopNetwork()
        found = [await CHANNEL.look_up(link, lookup, network) for lookup in CHANNEL.lookups(reported)]
        return [event for events in found for event in events]

    bot = MESSENGER.bot(instance)
    link = Link(instance.number, "", credentials_of(bot), str(bot.user.id))
    return asyncio.run(look_up_all())


def look_up(instance: Instance, reported: list[ReceivedEvent]) -> list[ReceivedEvent]:
    """Look up what these events leave open; returns what was recorded."""
    events = ask(instance, reported)
    record_events(instance, events, is_patient=False)
    return events


def test_administrators_are_asked_for_once(instance: Instance, bot: Bot, group: Group) -> None:
    """Also if the bot is none, and with their names; the group has been renamed meanwhile."""
    group.administrators, group.title = [(ANN, "creator"), (BEN, "administrator")], "Trip to Rome"
    look_up(instance, [GroupJoined(id_of(group), "Trip")])
    assert people(id_of(group)) == {chat_id(bot.user): False, chat_id(ANN): True, chat_id(BEN): True}
    assert shown_names(instance, id_of(group))[chat_id(BEN)] == "Ben"
    assert Chat.objects.get(chat_id=id_of(group)).name == "Trip to Rome"


def test_a_change_after_the_response_is_not_undone(instance: Instance, bot: Bot, group: Group) -> None:
    """Its update may be recorded before the response."""
    group.administrators = [(ANN, "creator"), (BEN, "administrator")]
    found = ask(instance, [GroupJoined(id_of(group), "Trip")])
    later = timezone.now() + timedelta(seconds=1)
    changes = GroupChanged(id_of(group), "Rome", left=((chat_id(BEN),),), time=later)
    record_events(instance, [changes, *found], is_patient=False)
    assert people(id_of(group)) == {chat_id(bot.user): False, chat_id(ANN): True}
    assert Chat.objects.get(chat_id=id_of(group)).name == "Rome"


def test_what_telegram_refuses_is_left_open(instance: Instance, bot: Bot, group: Group) -> None:
    event = GroupChanged(id_of(group), joined=((chat_id(EVE),),))
    for refuse in ("Forbidden: bot was kicked from the group chat", ""):
        group.refusal = refuse
        group.type = "channel"
        assert look_up(instance, [event]) == [], "of a channel, with its subscribers, nothing is asked"
    MESSENGER.double.order(Fault("error", method="getChat", status=502))
    with pytest.raises(ReceiveFailed):
        look_up(instance, [event])
    MESSENGER.double.order(flood(7, method="getChat"))
    with pytest.raises(ReceiveFailed) as caught:
        look_up(instance, [event])
    assert caught.value.seconds == 7


def test_which_groups_are_looked_up() -> None:
    message = MessageReceived("1", "telegram:5@c.us", "hi")
    assert CHANNEL.lookups([message, GroupChanged("telegram:-5@g.us", left=(("telegram:5@c.us",),))]) == []
    in_group = replace(message, chat_id="telegram:-5@g.us")
    [found] = CHANNEL.lookups([in_group, in_group])
    assert (found, found.is_repeated) == (GroupLookup("telegram:-5@g.us"), False)
    [again] = CHANNEL.lookups([in_group, GroupJoined("telegram:-5@g.us")])
    assert again == found and again.is_repeated, "the bot has entered it"


def test_the_bot_is_removed_and_added_again(instance: Instance, bot: Bot, group: Group) -> None:
    MESSENGER.double.remove_from_group(bot, ANN, group)
    MESSENGER.receive(instance)
    chat = Chat.objects.get(chat_id=id_of(group))
    assert chat.left_at is not None and people(id_of(group)) == {}
    group.statuses.pop(bot.user.id)
    MESSENGER.double.add_to_group(bot, ANN, group)
    MESSENGER.receive(instance)
    chat.refresh_from_db()
    assert chat.left_at is None and people(id_of(group)) == {chat_id(bot.user): False}


def test_the_name_comes_with_each_message_but_not_from_an_old_one(
    instance: Instance, bot: Bot, group: Group
) -> None:
    chat = Chat.objects.get(chat_id=id_of(group))
    MESSENGER.double.rename_group(bot, ANN, group, "Trip to Rome")
    MESSENGER.receive(instance)
    chat.refresh_from_db()
    assert chat.name == "Trip to Rome"
    group.title = "Trip to Paris"
    MESSENGER.double.write(
        bot, ANN, "I have renamed it", chat=group, date=int(chat.last_time.timestamp()) + 5
    )
    MESSENGER.receive(instance)
    message = Hook.objects.filter(endpoint=instance.pk, kind="message").latest("id")
    assert json.loads(bytes(message.body))["messages"][0]["chatName"] == "Trip to Paris"
    group.title = "Trip to Rome"
    MESSENGER.double.write(bot, ANN, "late", chat=group, date=1_700_000_000)
    MESSENGER.receive(instance)
    chat.refresh_from_db()
    assert chat.name == "Trip to Paris"


def test_a_supergroup_takes_the_place_of_its_group(instance: Instance, bot: Bot, group: Group) -> None:
    MESSENGER.double.write(bot, ANN, "hello", chat=group)
    new = MESSENGER.double.migrate(bot, ANN, group)
    MESSENGER.double.join_group(bot, BEN, new)
    MESSENGER.double.remove_from_group(bot, ANN, group)  # Telegram says so when the group is deleted
    MESSENGER.receive(instance)
    [chat] = Chat.objects.listed().filter(instance=instance)
    assert (chat.chat_id, chat.left_at) == (id_of(group), None)
    assert people(id_of(group)) == {chat_id(bot.user): False, chat_id(ANN): False, chat_id(BEN): False}
    MESSENGER.double.rename_group(bot, ANN, new, "Upgraded")
    MESSENGER.receive(instance)
    chat.refresh_from_db()
    assert chat.name == "Upgraded"


def test_who_writes_as_a_group_or_channel_is_no_participant(
    instance: Instance, bot: Bot, group: Group
) -> None:
    for sender in (group.to_json(), {"id": -1_001_000_000_001, "type": "channel", "title": "News"}):
        MESSENGER.double.write(bot, ANN, "as a chat", chat=group, sender_chat=sender)
    MESSENGER.receive(instance)
    assert people(id_of(group)) == {chat_id(bot.user): False}


def test_a_name_of_control_characters_is_cleaned_and_shortened(
    instance: Instance, bot: Bot, group: Group
) -> None:
    MESSENGER.double.rename_group(bot, EVE, group, "\x1b[31m\u202eTrip\r\n\t\x00" + "x" * 10_000)
    MESSENGER.receive(instance)
    name = Chat.objects.get(chat_id=id_of(group)).name
    assert name.startswith("[31m") and "Trip \ufffdxxx" in name and len(name) == 200
    assert not any(ord(letter) < 32 for letter in name)


def test_a_group_of_thousands_is_stored_in_part(instance: Instance, bot: Bot, group: Group) -> None:
    own = chat_id(bot.user)
    strangers = tuple((f"telegram:{number}@c.us",) for number in range(5_000, 8_000))
    where = id_of(group)
    record_events(instance, [GroupChanged(where, joined=strangers)], is_patient=False)
    found = people(id_of(group))
    assert len(found) == MAX_PARTICIPANTS and own in found
    full = GroupJoined(where, members=tuple((one, one == strangers[-1]) for one in strangers))
    record_events(instance, [full], is_patient=False)
    assert len(people(id_of(group))) == MAX_PARTICIPANTS and own in people(id_of(group))
    MESSENGER.double.write(bot, ANN, "hello", chat=group)
    MESSENGER.receive(instance)
    assert len(people(id_of(group))) == MAX_PARTICIPANTS


@pytest.mark.parametrize(
    "update",
    [
        {"chat_member": {"new_chat_member": {"status": "member", "user": {"id": 5}}}},
        {
            "chat": {"id": -5, "type": "supergroup"},
            "new_chat_member": {"status": "member", "user": {"id": 5}},
        },
        {"chat": {"id": -5, "type": "channel"}, "new_chat_member": {"status": "member", "user": {"id": 5}}},
        {"chat": {"id": 5, "type": "private"}, "new_chat_member": {"status": "member", "user": {"id": 5}}},
    ],
)
def test_reports_of_groups_that_are_not_known_change_nothing(
    instance: Instance, bot: Bot, update: dict[str, Any]
) -> None:
    for kind in ("chat_member", "my_chat_member"):
        bot.updates.append({"update_id": bot.next_update, kind: update})
        bot.next_update += 1
    MESSENGER.receive(instance)
    assert not Chat.objects.filter(instance=instance).exists() and updates(instance) == []
