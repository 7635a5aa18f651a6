"""While an old transaction keeps vacuum from removing dead rows, a contact's message reads only a few of them."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction

from chatapi.database import prepared
from hooks import worker_slots
from instances.actions import record_at_once
from instances.actions.messages import receive_message, type_on_phone
from instances.actions.sending.accept import send_message
from instances.actions.sending.record import SentMessage, record_results
from instances.models import Instance, Message, OutgoingMessage
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db(transaction=True)

MESSAGES = 500  # before
ANNA = "17680561234"


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


def send(instance: Instance, count: int = 1) -> None:
    for _ in range(count):
        send_message(instance, chat_id=f"{ANNA}@c.us", body="hello")
    record_results([SentMessage(each) for each in OutgoingMessage.objects.filter(instance=instance)])


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
