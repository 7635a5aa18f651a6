"""Messages of contacts that are recorded in one statement: what is written is the same as with several statements."""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import DataError, connection, transaction
from django.forms.models import model_to_dict
from django.utils import timezone
from psycopg import _queries
from pytest_django import DjangoAssertNumQueries

from hooks import tallies
from hooks.actions.endpoint_list import add_endpoint
from hooks.actions.endpoints import set_filters
from hooks.filters import Filters
from hooks.models import Endpoint, Hook
from instances import payloads
from instances.actions import messages
from instances.actions.chats import chats
from instances.actions.messages import receive_message
from instances.actions.record_at_once import record_sql
from instances.channels.sandbox.actions.contacts import IS_PLAIN_CONTACT
from instances.channels.sandbox.actions.preconditions import LINK_COLUMNS
from instances.models import Chat, Instance, Message
from instances.models.last_messages import period
from tests.factories import InstanceFactory
from tests.instances.conftest import Emitted
from tests.odd_values import ODD_TEXTS
from tests.threads import results_in_threads, wait_until_a_session_waits

NOON = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
ANNA = "17680561234"


def step_by_step() -> Any:
    return mock.patch.object(messages, "record_at_once", lambda message, condition: False)


def written(instance: Instance, message: Message) -> dict[str, Any]:
    """What a message has written: its row, its chat, its hook and the counts, without keys and numbers."""
    hook = Hook.objects.filter(endpoint_id=instance.pk).latest("id")
    body = bytes(hook.body).decode()
    assert f'"messageNumber":{message.number},' in body
    row = Message.objects.get(pk=message.pk)
    assert (row.number, row.message_id) == (message.number, message.message_id)
    assert bytes(hook.body) == payloads.message_body(row)
    assert Instance.objects.get(pk=instance.pk).last_message_number == message.number
    without = ("id", "number", "message_id", "public_id", "body", "message", "created_at")
    return {
        "message": {name: value for name, value in model_to_dict(row).items() if name not in without},
        "text": row.body,
        "chat": model_to_dict(row.chat) | {"last_time": row.chat.last_time},
        "hook": {name: value for name, value in model_to_dict(hook).items() if name not in without},
        "body": body.replace(message.message_id, "ID").replace(f":{message.number},", ":N,", 1),
        "belongs": hook.message == message.message_id,
    }


CONTENTS: list[dict[str, Any]] = [
    {"body": "hello"},
    {"body": "", "caption": None},
    {"body": 'quotes " \\ / \b\f\n\r\t \x01\x1f\x7f \u2028 \u2029 é 日本 😀 </script>'},
    {"body": "52.5;13.4", "type": "location", "forwarded": 127},
    {"body": "ignored", "type": "call_log"},
    {"body": "https://example.com/a.jpg", "type": "image", "caption": '"messageNumber":0,', "time": NOON},
    {"body": "re", "quoted": {"id": "false_1@c.us_A", "body": '"messageNumber":5', "type": "chat"}},
    *({"body": text} for text in ODD_TEXTS if "\x00" not in text and text != "\ud800"),
]


@pytest.mark.parametrize("name", ["", "Anna", 'A"nn\\a\n日'])
def test_all_that_is_written_is_the_same(
    instance: Instance, django_assert_num_queries: DjangoAssertNumQueries, name: str
) -> None:
    receive_message(instance, sender=ANNA, sender_name=name, body="creates the chat")
    for content in CONTENTS:
        content = {"time": timezone.now(), **content}
        with django_assert_num_queries(1):
            at_once = receive_message(instance, sender=ANNA, sender_name=name, **content)
        first = written(instance, at_once)
        with step_by_step():
            slowly = receive_message(instance, sender=ANNA, sender_name=name, **content)
        assert slowly.number == at_once.number + 1
        assert written(instance, slowly) == first
        assert slowly.chat == at_once.chat
    assert Chat.objects.get().unread == 1 + 2 * len(CONTENTS)
    assert tallies.emitted([instance.pk]) == {instance.pk: Hook.objects.count()}


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800"])
def test_a_text_that_cannot_be_stored_gets_no_number(instance: Instance, text: str) -> None:
    receive_message(instance, sender=ANNA, body="hello")
    with pytest.raises((DataError, ValueError)), transaction.atomic():
        receive_message(instance, sender=ANNA, body=text)
    assert receive_message(instance, sender=ANNA, body="again").number == 2


def unpaid(instance: Instance) -> None:
    Instance.objects.filter(pk=instance.pk).update(paid_until=timezone.now() - timedelta(days=1))


def stopped(instance: Instance) -> None:
    Instance.objects.filter(pk=instance.pk).update(stopped_at=timezone.now())


def ignores_old(instance: Instance) -> None:
    Instance.objects.filter(pk=instance.pk).update(ignore_old_messages=True)


def without_url(instance: Instance) -> None:
    Endpoint.objects.filter(pk=instance.pk).update(url="")


@pytest.mark.parametrize(
    ("change", "reason"),
    [(unpaid, "not_paid"), (stopped, "stopped"), (ignores_old, "too_old"), (without_url, "no_address")],
)
@pytest.mark.parametrize("is_reloaded", [True, False])
def test_the_hook_is_skipped_for_the_current_reason(
    instance: Instance, emitted: Emitted, change: Callable[[Instance], None], reason: str, is_reloaded: bool
) -> None:
    """Also if the caller loaded the instance before the change."""
    receive_message(instance, sender=ANNA, body="hello")
    change(instance)
    if is_reloaded:
        instance.refresh_from_db()
    before = tallies.totals()
    receive_message(instance, sender=ANNA, body="again", time=NOON)
    assert [skip for _, skip, _ in emitted()] == ["", "", reason]
    after = tallies.totals()
    assert (after.emitted, after.skipped) == (before.emitted + 1, before.skipped + 1)


def test_a_chat_that_does_not_look_as_expected(instance: Instance, emitted: Emitted) -> None:
    receive_message(instance, sender=ANNA, sender_name="Anna", body="1")
    chat_id = f"{ANNA}@c.us"
    chats.archive_chat(instance, chat_id=chat_id, on=True)
    assert not receive_message(instance, sender=ANNA, sender_name="Anna", body="2").chat.archived
    chats.remove_chat(instance, chat_id=chat_id)
    receive_message(instance, sender=ANNA, sender_name="Anna", body="3")
    assert Chat.objects.get().removed_at is None
    without_name = receive_message(instance, sender=ANNA, body="4")
    assert (without_name.sender_name, without_name.chat.name) == ("Anna", "Anna")
    receive_message(instance, sender=ANNA, sender_name="Anna B", body="5")
    found = [(kind, item.get("chatName")) for kind, _, item in emitted()]
    message = ("message", "Anna")
    assert found == [
        ("chat", None),
        message,
        message,
        message,
        message,
        ("chat", None),
        ("message", "Anna B"),
    ]


def test_an_endpoint_with_a_filter_and_a_second_endpoint(instance: Instance) -> None:
    receive_message(instance, sender=ANNA, body="1")
    first = Endpoint.objects.get(pk=instance.pk)
    set_filters(first, filters=Filters(message_types=("image",)), acting_user=None)
    filtered = receive_message(instance, sender=ANNA, body="2")
    assert not Hook.objects.filter(message=filtered.message_id).exists()
    second = add_endpoint(instance.pk, url="https://example.com/second", acting_user=None)
    message = receive_message(instance, sender=ANNA, body="3")
    hooks = Hook.objects.filter(message=message.message_id)
    assert list(hooks.values_list("endpoint", flat=True)) == [second.pk]


@pytest.mark.django_db(transaction=True)
def test_both_ways_at_the_same_time_have_no_gap_and_keep_the_order_of_hooks() -> None:
    instance = InstanceFactory(number=12345, url="https://example.com/hook")
    receive_message(instance, sender=ANNA, sender_name="Anna", body="creates the chat")

    def receive(thread: int) -> None:
        mine = Instance.objects.get(pk=instance.pk)
        for time in range(20):
            name = "Anna B" if (thread + time) % 3 == 0 else "Anna"  # another name takes several statements
            receive_message(mine, sender=ANNA, sender_name=name, body=f"{thread} {time}")

    results_in_threads(receive, 6)
    everything = list(range(1, 122))
    assert list(Message.objects.order_by("number").values_list("number", flat=True)) == everything
    bodies = Hook.objects.filter(kind="message").order_by("id").values_list("body", flat=True)
    shown = [json.loads(bytes(body))["messages"][0] for body in bodies]
    assert [one["messageNumber"] for one in shown] == everything
    assert all(one["chatName"] == one["senderName"] for one in shown)
    assert Chat.objects.get().unread == 121
    assert tallies.emitted([instance.pk]) == {instance.pk: Hook.objects.count()}
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_message_that_waited_for_the_one_that_created_its_chat_sets_the_period_of_the_chat() -> None:
    """Its statement began before the chat was there, so it cannot change the chat's row."""
    instance = InstanceFactory(number=12345, url="https://example.com/hook")
    later = NOON + timedelta(minutes=6)

    def receive_later() -> None:
        mine = Instance.objects.get(pk=instance.pk)
        receive_message(mine, sender=ANNA, sender_name="Anna", body="later", time=later)
        connection.close()

    with ThreadPoolExecutor(1) as executor:
        with transaction.atomic():
            receive_message(instance, sender=ANNA, sender_name="Anna", body="creates the chat", time=NOON)
            second = executor.submit(receive_later)
            wait_until_a_session_waits(connection.connection)
        second.result(60)
    [chat] = Chat.objects.annotate(period=period("stored_last_time"))
    assert (chat.last_time, chat.unread) == (later, 2)
    assert chat.period <= later < chat.period + timedelta(minutes=5)
    assert list(Message.objects.order_by("number").values_list("number", "body")) == [
        (1, "creates the chat"),
        (2, "later"),
    ]
    assert tallies.emitted([instance.pk]) == {instance.pk: Hook.objects.count()}


def test_psycopg_parses_the_statement_once() -> None:
    for sql in (record_sql(), record_sql(LINK_COLUMNS, IS_PLAIN_CONTACT)):
        assert len(sql) <= _queries.MAX_CACHED_STATEMENT_LENGTH
        assert len(re.findall(r"%\(\w+\)s", sql)) <= _queries.MAX_CACHED_STATEMENT_PARAMS
