"""The messenger's ids of messages and chats: stored with what was sent, and used for what is sent next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hooks import database_clock
from instances.actions.channel_links import save_link
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.channels import CHANNELS
from instances.models import Chat, Instance, Message, OutgoingMessage, SendingTry, SendState
from instances.sending import claims, outgoing
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.receiving.processes import SETTINGS
from tests.instances.sending.numbering import NAME, NumberingChannel, NumberingMessenger
from tests.instances.sending.sending import SenderProcess, wait_until_empty

ANN, GROUP = "17680561234@c.us", "telegram:-55@g.us"
PASSES = 6  # more than a message is tried at once


@pytest.fixture
def messenger() -> Iterator[NumberingMessenger]:
    with NumberingMessenger() as messenger:
        yield messenger


@pytest.fixture
def alice(db: None, monkeypatch: pytest.MonkeyPatch, messenger: NumberingMessenger) -> Instance:
    return linked(monkeypatch, messenger)


def linked(monkeypatch: pytest.MonkeyPatch, messenger: NumberingMessenger) -> Instance:
    monkeypatch.setitem(CHANNELS, NAME, NumberingChannel())
    instance: Instance = InstanceFactory(channel=NAME, url="https://example.com/hook")
    save_link(
        instance,
        credentials={"token": "the-token"},
        external_id="bot 7",
        options={"url": messenger.url},
        own_chat_id="telegram:7@c.us",
        acting_user=None,
    )
    return instance


def send(instance: Instance, *, chat_id: str = ANN, **more: Any) -> str:
    """Accept a message, send what is due, and return its id. Each try at once takes a pass."""
    message_id = send_message(instance, chat_id=chat_id, body=more.pop("body", "hello"), **more).message_id
    for _ in range(PASSES):
        outgoing.send_due()
    return message_id


def sent(message_id: str) -> Message:
    return Message.objects.get(message_id=message_id)


def test_the_account_is_named_by_its_own_chat_id(alice: Instance, messenger: NumberingMessenger) -> None:
    alice.refresh_from_db()
    assert (alice.phone, alice.own_chat_id) == ("", "telegram:7@c.us")
    assert sent(send(alice)).author == "telegram:7@c.us"
    assert messenger.received[0]["from"] == "bot 7"


def test_a_quote_and_a_deletion_name_the_message_as_the_messenger_does(
    alice: Instance, messenger: NumberingMessenger
) -> None:
    first = send(alice)
    assert sent(first).messenger_id == "m1"
    received = receive_message(alice, sender=ANN, body="which?", key="in-5")
    send(alice, quoted_id=received.message_id)
    send(alice, quoted_id=first)
    send(alice, body="", deletes=first)
    assert [(each["quotes"], each["deletes"]) for each in messenger.received] == [
        ("", ""),
        ("in-5", ""),
        ("m1", ""),
        ("", "m1"),
    ]
    assert sent(first).deleted_at is not None


def test_a_quote_of_a_message_that_is_being_sent_waits_until_that_is_recorded(
    alice: Instance, messenger: NumberingMessenger
) -> None:
    first = send_message(alice, chat_id=ANN, body="one")
    quoting = send_message(alice, chat_id=ANN, body="two", quoted_id=first.message_id)
    other = send_message(alice, chat_id=GROUP, body="three", quoted_id=first.message_id)
    OutgoingMessage.objects.filter(pk=first.pk).update(state=SendState.SENDING)
    with outgoing.owner() as (session, me):
        claims.own(session, me, [alice.pk])
        taken = claims.take(session, me, [alice.pk], [quoting.pk, other.pk])
        assert [each.body for each in taken] == ["three"]
        claims.hand_back(session, [other.pk])
        OutgoingMessage.objects.filter(pk=first.pk).update(state=SendState.QUEUED)
        assert [each.body for each in claims.take(session, me, [alice.pk], [quoting.pk])] == ["two"]


def test_a_quote_does_not_let_a_later_message_of_its_chat_go_first(
    alice: Instance, messenger: NumberingMessenger
) -> None:
    first = send_message(alice, chat_id=ANN, body="one").message_id
    for body, quoted_id in (("two", first), ("three", None), ("four", first)):
        send_message(alice, chat_id=ANN, body=body, quoted_id=quoted_id)
    for _ in range(PASSES):
        outgoing.send_due()
    assert [each["text"] for each in messenger.received] == ["one", "two", "three", "four"]


def test_a_moved_chat_is_remembered_and_its_message_tried_again_at_once(
    alice: Instance, messenger: NumberingMessenger
) -> None:
    messenger.responses = [{"moved_to": "-10055"}]
    message = sent(send(alice, chat_id=GROUP))
    assert [each["to"] for each in messenger.received] == [GROUP, "-10055"]
    chat = message.chat
    assert (chat.chat_id, chat.messenger_chat_id, chat.is_group) == (GROUP, "-10055", True)
    assert list(SendingTry.objects.order_by("number").values_list("result", "reason")) == [
        ("retry", "The group was upgraded."),
        ("sent", ""),
    ]
    send(alice, chat_id=GROUP)
    assert messenger.received[-1]["to"] == "-10055"


@pytest.mark.parametrize("moves", [["-1"] * 9, ["-1", "-2"] * 9, [""] * 9, ["x" * 3_000] * 9])
def test_a_chat_that_moves_forever_waits_as_after_a_failure(
    alice: Instance, messenger: NumberingMessenger, moves: list[str]
) -> None:
    messenger.responses = [{"moved_to": to} for to in moves]
    send(alice, chat_id=GROUP)
    waiting = OutgoingMessage.objects.get()
    assert waiting.tries == len(messenger.received) <= 4
    assert waiting.next_try_at is not None and waiting.next_try_at > database_clock.now()
    assert waiting.reason == "The group was upgraded."


def test_what_the_messenger_calls_a_number_is_remembered_once(
    alice: Instance, messenger: NumberingMessenger
) -> None:
    brazil = "5511987654321@c.us"
    messenger.responses = [{"id": "1", "chat": "551187654321"}, {"id": "2", "chat": "551187654321"}]
    send(alice, chat_id=brazil)
    assert Chat.objects.get().messenger_chat_id == "551187654321"
    send(alice, chat_id=brazil)
    assert messenger.received[-1]["to"] == "551187654321"
    messenger.responses = [{"id": "3", "chat": "5511987654321"}]
    send(alice, chat_id=brazil)
    assert Chat.objects.get().messenger_chat_id == ""
    received = receive_message(alice, sender="551187654321", body="hi", key="k")
    assert received.chat.chat_id == "551187654321@c.us"


def test_an_unchanged_chat_costs_no_statement(alice: Instance, messenger: NumberingMessenger) -> None:
    send(alice)
    messenger.responses = [{"id": "1", "chat": "17680561234"}]
    with CaptureQueriesContext(connection) as queries:
        send(alice)
    assert not [query for query in queries if "SET messenger_chat_id" in query["sql"]]


@pytest.mark.parametrize("id", ["x" * 3_000, "a\x00b", "\ud800", "two\nlines"])
def test_an_id_that_cannot_be_stored_stops_nothing(
    alice: Instance, messenger: NumberingMessenger, id: str
) -> None:
    messenger.responses = [{"id": id, "chat": id}]
    one, two = send(alice), send(alice)
    assert [(sent(each).messenger_id, sent(each).chat.messenger_chat_id) for each in (one, two)] == [
        ("", ""),
        ("m2", ""),
    ]


@pytest.mark.django_db(transaction=True)
def test_the_sender_process_uses_them_too(
    monkeypatch: pytest.MonkeyPatch, messenger: NumberingMessenger, tmp_path: Path
) -> None:
    instance = linked(monkeypatch, messenger)
    messenger.responses = [{"moved_to": "-10055"}]
    first = send_message(instance, chat_id=GROUP, body="one").message_id
    send_message(instance, chat_id=GROUP, body="two", quoted_id=first)
    with SenderProcess(tmp_path, "", DJANGO_SETTINGS_MODULE=SETTINGS):
        wait_until_empty()
        wait_until(lambda: Message.objects.count() == 2, "both are recorded")
    assert [(each["to"], each["text"], each["quotes"]) for each in messenger.received] == [
        (GROUP, "one", ""),
        ("-10055", "one", ""),
        ("-10055", "two", "m2"),
    ]
    assert list(Message.objects.order_by("number").values_list("messenger_id", flat=True)) == ["m2", "m3"]
