"""Migrations instances.0041 to 0044: numbers and times come from messages, not from the rows of instances and chats."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from instances.actions.messages import receive_message
from instances.models import Chat, Message
from tests.factories import InstanceFactory

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
BEFORE = [("instances", "0040_short_checks")]


def row(columns: str, table: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {table}")
        [found] = cursor.fetchall()
    return tuple(found)


@pytest.mark.django_db(transaction=True)
def test_code_of_before_finds_what_messages_have_and_the_next_message_continues() -> None:
    instance = InstanceFactory()
    for second in range(3):
        with time_machine.travel(NOON + timedelta(seconds=second), tick=False):
            receive_message(instance, sender="17680561234", sender_name="Anna", body="hello")
    executor = MigrationExecutor(connection)
    newest = executor.loader.graph.leaf_nodes()
    try:
        executor.migrate(BEFORE)
        assert row("last_message_number", "instances_instance") == (3,)
        assert row("last_time, unread", "instances_chat") == (NOON + timedelta(seconds=2), 3)
    finally:
        MigrationExecutor(connection).migrate(newest)
    chat = Chat.objects.get()
    assert (chat.last_time, chat.unread) == (NOON + timedelta(seconds=2), 3)
    with time_machine.travel(NOON + timedelta(seconds=1), tick=False):
        late = receive_message(instance, sender="17680561234", sender_name="Anna", body="late")
    assert late.number == 4
    assert Message.objects.values_list("chat_last_time", "chat_unread").get(pk=late.pk) == (chat.last_time, 4)
