"""While an old transaction keeps vacuum from removing dead rows, a contact's message reads only a few of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone

from chatapi.database import prepared
from hooks import worker_slots
from hooks.models import Hook
from instances.actions import messages, record_at_once
from instances.actions.messages import receive_message, type_on_phone
from instances.actions.sending.accept import send_message
from instances.actions.sending.record import SentMessage, record_results
from instances.models import Chat, Instance, Message, OutgoingMessage
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db(transaction=True)

MESSAGES = 500  # before
ANNA = "17680561234"
NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def old_transaction() -> Iterator[None]:
    """Another session whose snapshot is older than what the test writes."""
    with worker_slots.connect() as session:
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        session.execute("SELECT count(*) FROM instances_message")
        yield
        session.execute("ROLLBACK")


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pages each message has read that was recorded in one statement, in order."""
    found: list[int] = []

    def fetch_one(sql: str, parameters: Any) -> Any:
        with transaction.atomic():
            [plan] = prepared.fetch_all(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", parameters)[0]
            transaction.set_rollback(True)
        root = plan[0]["Plan"]
        found.append(root["Shared Hit Blocks"] + root["Shared Read Blocks"])
        return prepared.fetch_one(sql, parameters)

    monkeypatch.setattr(record_at_once, "prepared", SimpleNamespace(fetch_one=fetch_one))
    return found


def receive(instance: Instance, count: int) -> None:
    for number in range(count):
        receive_message(instance, sender=ANNA, sender_name="Anna", body=f"{number}")


def version(table: str, key: int) -> Any:
    """Returns the place of the version of a row that is valid now."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT ctid::text FROM {table} WHERE id = %s", [key])
        return cursor.fetchone()[0]


def read_pages(instance: Instance, count: int, pages: list[int]) -> list[int]:
    """Returns how many pages each of the next messages reads."""
    pages.clear()
    receive(instance, count)
    return list(pages)


def send(instance: Instance, count: int = 1) -> None:
    for _ in range(count):
        send_message(instance, chat_id=f"{ANNA}@c.us", body="hello")
    record_results([SentMessage(each) for each in OutgoingMessage.objects.filter(instance=instance)])


def type_one(instance: Instance, count: int) -> None:
    for _ in range(count):
        type_on_phone(instance, chat_id=f"{ANNA}@c.us", body="typed")


def test_messages_add_no_versions_of_their_instance() -> None:
    """A message reads one version, however many there have been and in whichever way it is recorded."""
    instance = InstanceFactory(url="https://example.com/hook")
    first = version("instances_instance", instance.pk)
    receive(instance, 3)
    receive_message(instance, sender=ANNA, sender_name="Another name", body="takes several statements")
    type_on_phone(instance, chat_id=f"{ANNA}@c.us", body="typed")
    send(instance, 2)
    assert version("instances_instance", instance.pk) == first
    assert list(Message.objects.order_by("id").values_list("number", flat=True)) == list(range(1, 8))
    assert Instance.objects.get().last_message_number == 7


@pytest.fixture(params=[False, True], ids=["unknown", "of empty tables"])
def statistics(request: pytest.FixtureRequest) -> None:
    """What the planner knows of the tables before the first message: it plans for few messages in both cases."""
    if request.param:
        with connection.cursor() as cursor:
            for model in (Message, Chat, Hook):
                cursor.execute(f"ANALYZE {model._meta.db_table}")


def test_a_message_reads_as_many_pages_as_the_first_ones(
    statistics: None, old_transaction: None, pages: list[int]
) -> None:
    instance = InstanceFactory(url="https://example.com/hook")
    receive(instance, 4)
    first = max(read_pages(instance, 6, pages))
    with mock.patch.object(record_at_once, "prepared", prepared):
        receive(instance, MESSAGES)
    last = min(read_pages(instance, 6, pages))
    assert last <= 2 * first  # the indexes of messages and hooks get a second level


@time_machine.travel(NOON, tick=False)
def test_messages_of_a_period_add_no_versions_of_their_chat() -> None:
    """A contact's, typed and sent ones; the first one of another period, and one that changes the chat, add one."""
    instance = InstanceFactory(url="https://example.com/hook")
    receive(instance, 1)
    chat = Chat.objects.get()
    first = version("instances_chat", chat.pk)
    receive(instance, 2)
    with mock.patch.object(messages, "record_at_once", lambda message, condition: False):
        receive(instance, 2)
    type_on_phone(instance, chat_id=f"{ANNA}@c.us", body="typed")
    send(instance, 2)
    receive_message(instance, sender=ANNA, sender_name="Anna", body="late", time=NOON - timedelta(hours=1))
    assert version("instances_chat", chat.pk) == first
    chat.refresh_from_db()
    assert (chat.last_time, chat.unread) == (NOON, 6)
    for way in (receive, type_one, send):
        with time_machine.travel(chat.last_time + timedelta(minutes=5), tick=False):
            way(instance, 1)
            changed = version("instances_chat", chat.pk)
            assert changed != first
            way(instance, 1)
            assert version("instances_chat", chat.pk) == changed
            first = changed
            chat.refresh_from_db()
            assert chat.last_time == timezone.now()
    assert (chat.unread, chat.stored_last_time) == (8, chat.last_time)
