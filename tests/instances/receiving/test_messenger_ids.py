"""Events that name messages and chats by the messenger's ids, pushed to the web server over a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from hooks.models import Hook
from instances import chat_ids
from instances.actions.sending.accept import send_message
from instances.models import (
    Ack,
    Chat,
    Instance,
    Message,
    MessageState,
    OutgoingMessage,
    SendState,
    StoredCallback,
    message_state,
)
from instances.receiving import callbacks
from instances.sending import outgoing
from tests.instances.receiving.conftest import Link
from tests.instances.receiving.processes import Web
from tests.instances.receiving.pushing import CREDENTIALS, NAME, messenger_id, pushed

pytestmark = pytest.mark.usefixtures("checked")

ANN = "17680561234"
LONG_AGO = "2020-01-01T00:00Z"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Web]:
    """The web server, which takes 8 s to start."""
    with Web(tmp_path_factory.mktemp("web")) as web:
        yield web


@pytest.fixture
def alice(transactional_db: None, link: Link) -> Instance:
    return link(NAME, CREDENTIALS)


def report(web: Web, instance: Instance, *events: dict[str, Any]) -> None:
    """Push the events in one callback, and handle it."""
    body, headers = pushed(*events)
    instance.refresh_from_db()
    url = f"{web.url}/channels/{NAME}/{instance.channel_link.callback_secret}"
    assert requests.post(url, data=body, headers=headers, timeout=60).status_code == 200
    handle_all()


def handle_all() -> None:
    StoredCallback.objects.update(next_try_at=LONG_AGO)
    while callbacks.handle_due():
        pass


def send(instance: Instance, *, chat_id: str = ANN, body: str = "hello") -> Message:
    """Returns a message that was sent through the channel."""
    queued = send_message(instance, chat_id=chat_id, body=body)
    while outgoing.send_due():
        pass
    return Message.objects.get(message_id=queued.message_id)


def ack(messenger_id: str, status: str) -> dict[str, Any]:
    return {"kind": "ack", "messenger_id": messenger_id, "status": status}


def written(key: str, **more: Any) -> dict[str, Any]:
    return {"kind": "message", "key": key, "sender": ANN, "body": key} | more


def test_acks_by_the_messengers_id_never_go_back(web: Web, alice: Instance) -> None:
    message = send(alice)
    assert message.messenger_id.startswith("wamid.3EB0")
    report(web, alice, ack(message.messenger_id, "viewed"))
    report(web, alice, ack(message.messenger_id, "delivered"), ack("wamid.unknown", "viewed"))
    message.refresh_from_db()
    assert message.ack == Ack.VIEWED
    assert not StoredCallback.objects.exclude(error="").exists()


def test_an_ack_waits_while_a_message_is_being_sent(web: Web, alice: Instance) -> None:
    queued = send_message(alice, chat_id=ANN, body="hello")
    OutgoingMessage.objects.update(state=SendState.SENDING)
    report(web, alice, ack(messenger_id(queued), "delivered"), written("after it"))
    stored = StoredCallback.objects.get()
    assert (stored.handled_at, stored.error.split()[-3:]) == (None, ["still", "being", "sent."])
    assert not Message.objects.exists()

    OutgoingMessage.objects.update(state=SendState.QUEUED)
    while outgoing.send_due():
        pass
    handle_all()
    assert Message.objects.get(message_id=queued.message_id).ack == Ack.DELIVERED
    assert Message.objects.filter(body="after it").count() == 1


def test_an_ack_of_an_unknown_message_waits_for_no_queue(web: Web, alice: Instance) -> None:
    send_message(alice, chat_id=ANN, body="waits in the queue")
    report(web, alice, ack("wamid.unknown", "delivered"), written("after it"))
    assert Message.objects.filter(body="after it").count() == 1


def test_a_failure_after_sent_is_shown_unless_more_was_seen(web: Web, alice: Instance) -> None:
    lost, read = send(alice), send(alice, chat_id="4915112345678")
    reason = "Message undeliverable (131026)"
    report(web, alice, ack(read.messenger_id, "viewed"))
    for message in (lost, read):
        report(web, alice, {"kind": "failed", "messenger_id": message.messenger_id, "reason": reason})
        message.refresh_from_db()
    assert (message_state(lost), lost.failure) == (MessageState.FAILED, reason)
    assert (message_state(read), read.failure) == (MessageState.VIEWED, "")
    report(web, alice, ack(lost.messenger_id, "delivered"))
    lost.refresh_from_db()
    assert message_state(lost) == MessageState.DELIVERED


def test_a_quote_is_found_by_the_messengers_id_in_both_directions(web: Web, alice: Instance) -> None:
    sent = send(alice, body="which size?")
    report(web, alice, written("wamid.answer", body="large", quoted=sent.messenger_id))
    report(web, alice, written("wamid.again", body="very large", quoted="wamid.answer"))
    report(web, alice, written("wamid.other", body="?", quoted="wamid.of-last-year"))
    hooks = Hook.objects.filter(endpoint=alice.pk, kind="message").order_by("pk")
    shown = [json.loads(bytes(hook.body))["messages"][0] for hook in hooks][1:]
    first = Message.objects.get(messenger_id="wamid.answer")
    assert [(each["quotedMsgId"], each["quotedMsgBody"], each["quotedMsgType"]) for each in shown] == [
        (sent.message_id, "which size?", "chat"),
        (first.message_id, "large", "chat"),
        (None, None, None),
    ]


def test_the_echo_of_a_sent_message_is_not_recorded_again(web: Web, alice: Instance) -> None:
    sent = send(alice)
    report(web, alice, {"kind": "typed", "key": sent.messenger_id, "chat_id": ANN, "body": "hello"})
    assert list(Message.objects.values_list("message_id", flat=True)) == [sent.message_id]


def test_people_and_groups_without_a_number_have_chats_that_are_written_to(web: Web, alice: Instance) -> None:
    group = chat_ids.of_native("telegram", "-1001234567890", is_group=True)
    person = chat_ids.of_native("matrix", "@ann:example.org", is_group=False)
    report(
        web,
        alice,
        written("1", sender=person),
        written("2", sender=chat_ids.of_native("telegram", "55", is_group=False), chat_id=group),
        written("3", sender="123456789012345@lid", sender_name="Hidden"),
        written("4", sender="120363025246125486@newsletter"),
        written("5", sender="status@broadcast"),
    )
    assert set(Chat.objects.values_list("chat_id", "is_group")) == {
        (group, True),
        (person, False),
        ("123456789012345@lid", False),
        ("120363025246125486@newsletter", False),
        ("status@broadcast", False),
    }
    for chat_id in (group, person):
        assert send(alice, chat_id=chat_id).chat.chat_id == chat_id
    hook = Hook.objects.filter(endpoint=alice.pk, kind="message", chat=person).earliest("pk")
    shown = json.loads(bytes(hook.body))["messages"][0]
    assert (shown["chatId"], shown["author"], shown["senderName"]) == (person, person, "@ann:example.org")


def test_a_moved_group_stays_one_chat(web: Web, alice: Instance) -> None:
    old, new = (chat_ids.of_native("telegram", native, is_group=True) for native in ("-55", "-10055"))
    report(web, alice, written("1", chat_id=old))
    report(web, alice, {"kind": "moved", "old_chat_id": old, "messenger_chat_id": "-10055"})
    report(web, alice, written("2", chat_id=new), written("1", chat_id=old), written("2", chat_id=old))
    assert list(Message.objects.order_by("number").values_list("chat__chat_id", "body")) == [
        (old, "1"),
        (old, "2"),
    ]
    queued = send_message(alice, chat_id=old, body="hello")
    assert Chat.objects.get(chat_id=queued.chat_id).messenger_chat_id == "-10055"


@pytest.mark.parametrize(
    ("dialled", "messenger_calls_it"),
    [("5511987654321", "551187654321"), ("525512345678", "5215512345678"), ("541112345678", "5491112345678")],
    ids=["Brazil", "Mexico", "Argentina"],
)
def test_an_answer_lands_in_the_chat_that_was_written_to(
    web: Web, alice: Instance, dialled: str, messenger_calls_it: str
) -> None:
    send(alice, chat_id=dialled)
    Chat.objects.update(messenger_chat_id=messenger_calls_it)  # as the response to the message says
    report(web, alice, written("answer", sender=messenger_calls_it))
    answer = Message.objects.get(from_me=False)
    assert (answer.chat.chat_id, answer.author) == (f"{dialled}@c.us", f"{dialled}@c.us")
    assert Chat.objects.count() == 1


@pytest.mark.parametrize("key", ["x" * 3_000, "with a line\nbreak"])
def test_an_id_that_cannot_be_stored_loses_no_message(web: Web, alice: Instance, key: str) -> None:
    report(web, alice, written(key, body="hello"))
    report(web, alice, written(key, body="hello", time=None))
    assert list(Message.objects.values_list("body", "messenger_id")) == [("hello", "")]


@pytest.mark.parametrize("odd", ["\0", "\ud800"])
def test_characters_that_cannot_be_stored_lose_no_message(web: Web, alice: Instance, odd: str) -> None:
    fields = {"body": f"a{odd}b", "sender_name": f"Ann{odd}", "quoted": odd}
    event = {"kind": "message", "key": "odd", "sender": "17680561234"} | fields
    report(web, alice, event, {"kind": "ack", "messenger_id": odd, "status": "viewed"})
    message = Message.objects.get()
    assert (message.body, message.sender_name) == ("a\ufffdb", "Ann\ufffd")
    assert not StoredCallback.objects.exclude(error="").exists()
