"""Migration 0022: the counters of queues of 0.1.0 account for every message that was accepted."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone


@pytest.mark.django_db(transaction=True)
def test_messages_that_left_the_queue_are_counted_as_removed() -> None:
    executor = MigrationExecutor(connection)
    before = [("instances", "0021_index_of_qr_codes")]
    executor.migrate(before)
    apps = executor.loader.project_state(before).apps
    user = apps.get_model("accounts", "User").objects.create(email="old@example.org")
    account = apps.get_model("accounts", "Account").objects.create(owner=user)
    instance = apps.get_model("instances", "Instance").objects.create(
        owner=account,
        number=100_001,
        token="0" * 24,
        token_digest="d",
        paid_until=timezone.now() + timedelta(days=2),
    )
    apps.get_model("instances", "OutgoingQueue").objects.create(instance=instance, last_number=10, length=2)
    waiting = apps.get_model("instances", "OutgoingMessage").objects
    for number in (9, 10):
        waiting.create(
            instance=instance, queue_number=number, message_id=f"m{number}", chat_id="1@c.us", body="hello"
        )
    chat = apps.get_model("instances", "Chat").objects.create(instance=instance, chat_id="1@c.us")
    messages = apps.get_model("instances", "Message").objects
    for number, queue_number in ((1, 3), (2, None), (3, 7), (4, 8)):
        messages.create(
            instance=instance,
            number=number,
            message_id=f"m{queue_number}",
            chat=chat,
            author="2@c.us",
            from_me=True,
            queue_number=queue_number,
        )

    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    from instances.models import OutgoingMessage, OutgoingQueue

    queue = OutgoingQueue.objects.get()
    assert (queue.last_number, queue.length, queue.removed) == (10, 2, 5)
    assert [(each.state, each.tries, each.failed_at) for each in OutgoingMessage.objects.waiting()] == [
        ("queued", 0, None),
        ("queued", 0, None),
    ]
