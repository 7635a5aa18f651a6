"""The sender is killed, doubled, stopped, or loses its database: no message is lost, and each chat keeps its order.

Each test ends with `messages check` and `hooks check`. The messenger has idempotency keys, so a message that is sent
twice arrives once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from hooks.maintenance import conservation as hooks_conservation
from hooks.models import Role, Runner
from instances.models import Instance, Message, OutgoingMessage, OutgoingQueue, SendingTry
from tests.factories import InstanceFactory
from tests.faults.databases import Database
from tests.faults.product_instance import ProductInstance, create_product_instance
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.channels.sandbox.messenger_process import MessengerProcess
from tests.instances.sending.sending import (
    SenderProcess,
    arrived,
    assert_nothing_lost,
    in_order,
    queue_messages,
    sent,
    wait_until_empty,
)
from tests.product import manage
from tests.product_shell import shell

MESSAGES = 300
CHATS = 20


@pytest.fixture(scope="module")
def started() -> Iterator[MessengerProcess]:
    with MessengerProcess() as messenger:
        yield messenger


@pytest.fixture
def messenger(started: MessengerProcess) -> MessengerProcess:
    started.reset()
    started.order(latency=0.02)
    return started


@pytest.fixture
def instances(transactional_db: None) -> list[Instance]:
    return [InstanceFactory() for _ in range(4)]


def folder(path: Path, name: str) -> Path:
    made = path / name
    made.mkdir()
    return made


def assert_all_sent(messenger: MessengerProcess, instances: list[Instance]) -> None:
    wait_until_empty(*instances, seconds=120)
    for instance in instances:
        assert sent(instance) == in_order(MESSAGES, chats=CHATS)
        assert arrived(messenger, instance) == in_order(MESSAGES, chats=CHATS)
        assert messenger.received(instance.number)["mostInFlightOfAChat"] == 1
    assert not OutgoingMessage.objects.exists()
    assert_nothing_lost()
    assert not any(hooks_conservation.missing(row) for row in hooks_conservation.consistent_totals())


def sent_so_far(instances: list[Instance]) -> int:
    return Message.objects.filter(instance__in=instances).count()


def test_a_sender_that_is_killed_at_full_speed_loses_nothing(
    messenger: MessengerProcess, instances: list[Instance], tmp_path: Path
) -> None:
    for instance in instances:
        queue_messages(instance, MESSAGES, chats=CHATS)
    with ExitStack() as ended:
        for number in range(3):
            sender = SenderProcess(folder(tmp_path, str(number)), messenger.url)
            ended.push(sender)
            wait_until(lambda: sent_so_far(instances) > 200 * (number + 1), "messages are sent", 60)  # noqa: B023
            if number < 2:
                sender.kill()
        assert_all_sent(messenger, instances)
    repeats = sum(len(messenger.received(instance.number)["repeats"]) for instance in instances)
    unknown = SendingTry.objects.filter(result="unknown").count()
    assert repeats <= unknown, "only what was in flight, or not recorded, is sent again, and the log says so"
    assert not Message.objects.filter(maybe_twice=True).exists(), "this messenger has idempotency keys"


def test_two_senders_share_one_backlog(
    messenger: MessengerProcess, instances: list[Instance], tmp_path: Path
) -> None:
    with (
        SenderProcess(folder(tmp_path, "a"), messenger.url),
        SenderProcess(folder(tmp_path, "b"), messenger.url),
    ):
        for instance in instances:
            queue_messages(instance, MESSAGES, chats=CHATS)
        assert_all_sent(messenger, instances)
    assert all(messenger.received(instance.number)["repeats"] == {} for instance in instances)


def test_the_queues_of_a_killed_sender_are_taken_over_by_another(
    messenger: MessengerProcess, instances: list[Instance], tmp_path: Path
) -> None:
    first = SenderProcess(folder(tmp_path, "first"), messenger.url)
    with first, SenderProcess(folder(tmp_path, "second"), messenger.url):
        for instance in instances:
            queue_messages(instance, MESSAGES, chats=CHATS)
        wait_until(lambda: sent_so_far(instances) > 100, "messages are sent", 60)
        first.kill()
        assert_all_sent(messenger, instances)


def owned_by_each() -> list[int]:
    """How many queues with messages each sender owns."""
    owners = OutgoingQueue.objects.with_messages().exclude(owner=None).values_list("owner", flat=True)
    return sorted(Counter(owners).values())


def test_a_second_sender_gets_its_share_of_the_queues_at_once_and_loses_it_when_it_dies(
    messenger: MessengerProcess, instances: list[Instance], tmp_path: Path
) -> None:
    messenger.order(latency=2.0)  # some are left when the second one has started
    for instance in instances:
        queue_messages(instance, MESSAGES, chats=CHATS)
    with SenderProcess(folder(tmp_path, "first"), messenger.url):
        wait_until(lambda: owned_by_each() == [4], "the first owns all queues", 30)
        wait_until(lambda: sent_so_far(instances) > 20, "messages are sent", 60)
        with SenderProcess(folder(tmp_path, "second"), messenger.url) as second:
            wait_until(lambda: owned_by_each() == [2, 2], "both own half of the queues", 60)
            shared = sent_so_far(instances)
            wait_until(lambda: sent_so_far(instances) > shared + 40, "both send", 60)
            assert all(messenger.received(instance.number)["repeats"] == {} for instance in instances)
            second.kill()
            wait_until(lambda: owned_by_each() == [4], "the first owns all queues again", 30)
        messenger.order(latency=0.02)
        assert_all_sent(messenger, instances)


def test_a_sender_that_is_stopped_finishes_its_requests_and_sends_nothing_twice(
    messenger: MessengerProcess, instances: list[Instance], tmp_path: Path
) -> None:
    for instance in instances:
        queue_messages(instance, MESSAGES, chats=CHATS)
    with SenderProcess(folder(tmp_path, "first"), messenger.url) as sender:
        wait_until(lambda: sent_so_far(instances) > 100, "messages are sent", 60)
        assert sender.stop() == 0, sender.output
    assert not OutgoingMessage.objects.filter(state="sending").exists()
    assert not OutgoingQueue.objects.exclude(owner=None).exists()
    with SenderProcess(folder(tmp_path, "second"), messenger.url):
        assert_all_sent(messenger, instances)
    assert all(messenger.received(instance.number)["repeats"] == {} for instance in instances)


def test_a_broken_database_session_is_opened_again(
    messenger: MessengerProcess, instances: list[Instance], tmp_path: Path
) -> None:
    with SenderProcess(folder(tmp_path, "a"), messenger.url):
        for instance in instances:
            queue_messages(instance, MESSAGES, chats=CHATS)
        wait_until(lambda: sent_so_far(instances) > 100, "messages are sent", 60)
        run = Runner.objects.get(role=Role.OUTGOING, finished_at=None)
        terminate_sessions_with_lock(run.pk)
        assert_all_sent(messenger, instances)


def terminate_sessions_with_lock(key: int) -> None:
    """Ends the session that holds a run's own lock: the sender's claimer has it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
            " AND ((classid::bigint << 32) | objid::bigint) = %s",
            [key],
        )


QUEUE = """
from instances.models import Instance
from tests.instances.sending.sending import queue_messages
queue_messages(Instance.objects.get(pk={pk}), {number}, chats={chats})
"""


def count_sent(database: Database, instance: ProductInstance) -> int:
    try:
        with psycopg.connect(database.url) as session:
            row = session.execute(
                "SELECT count(*) FROM instances_message WHERE instance_id = %s AND from_me", [instance.pk]
            ).fetchone()
    except psycopg.OperationalError:  # it is restarting
        return -1
    return row[0] if row else 0


def test_a_restart_of_postgresql_loses_and_reorders_nothing(
    messenger: MessengerProcess, database: Database, tmp_path: Path
) -> None:
    instance = create_product_instance(database.environment, "")
    with ExitStack() as ended:
        sender = SenderProcess(tmp_path, messenger.url, DATABASE_URL=database.url)
        ended.push(sender)
        shell(database.environment, QUEUE.format(pk=instance.pk, number=MESSAGES, chats=CHATS))
        for restart in range(2):
            wait_until(lambda: count_sent(database, instance) > 80 * (restart + 1), "messages are sent", 60)  # noqa: B023
            database.stop()
            database.start()
        wait_until(lambda: count_sent(database, instance) == MESSAGES, "all are sent", 120)
        assert sender.process.poll() is None, sender.output
    counts = instance.message_counts()
    assert (counts["accepted"], counts["missing"], counts["queued"], counts["sending"]) == (MESSAGES, 0, 0, 0)
    assert manage("hooks", "check", environment=database.environment).returncode == 0
