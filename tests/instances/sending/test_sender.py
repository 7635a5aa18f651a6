"""The sender as a process, with the sandbox messenger on a real socket: order, limits, and what a messenger can do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db.models import Model
from django.utils import timezone

from hooks import worker_slots
from hooks.models import Hook
from instances import tasks
from instances.actions.lifecycle import link_sandbox
from instances.actions.sending.message_queue import clear_messages
from instances.actions.settings import change_settings
from instances.models import Instance, Message, OutgoingMessage, OutgoingQueue, SendingTry, SendState
from instances.sending.metrics import sending_numbers
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.channels.sandbox.messenger_process import MessengerProcess
from tests.instances.sending.sending import (
    SenderProcess,
    arrived,
    assert_nothing_lost,
    in_order,
    phone,
    queue_messages,
    sent,
    wait_until_empty,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def started() -> Iterator[MessengerProcess]:
    with MessengerProcess() as messenger:
        yield messenger


@pytest.fixture
def messenger(started: MessengerProcess) -> MessengerProcess:
    started.reset()
    return started


@pytest.fixture
def sender(messenger: MessengerProcess, tmp_path: Path) -> Iterator[SenderProcess]:
    with SenderProcess(tmp_path, messenger.url) as sender:
        yield sender


def test_messages_arrive_in_the_order_of_their_chats_and_are_recorded(
    messenger: MessengerProcess, sender: SenderProcess
) -> None:
    instances = [InstanceFactory() for _ in range(3)]
    messenger.order(latency=0.02)
    for instance in instances:
        queue_messages(instance, 120, chats=7)
    wait_until_empty(*instances)
    for instance in instances:
        assert arrived(messenger, instance) == sent(instance) == in_order(120, chats=7)
        assert messenger.received(instance.number)["repeats"] == {}
        numbers = (
            Message.objects.filter(instance=instance).order_by("number").values_list("number", flat=True)
        )
        assert list(numbers) == list(range(1, 121))
        assert set(Message.objects.filter(instance=instance).values_list("ack", flat=True)) == {2}
        assert Hook.objects.filter(endpoint=instance.pk, kind="ack").count() == 240
        assert SendingTry.objects.filter(instance=instance, result="sent", status=201).count() == 120
    assert_nothing_lost()


def test_the_log_of_tries_has_no_credentials(messenger: MessengerProcess, sender: SenderProcess) -> None:
    instance = InstanceFactory()
    queue_messages(instance, 1, chats=1)
    wait_until_empty(instance)
    [logged] = SendingTry.objects.all()
    [authorization] = [value for name, value in logged.request_headers if name == "Authorization"]
    assert "•" in authorization or "*" in authorization
    assert (logged.number, logged.method, logged.result) == (1, "POST", "sent")


def test_a_refused_message_fails_in_the_words_of_the_messenger_and_holds_nothing(
    messenger: MessengerProcess, sender: SenderProcess
) -> None:
    instance = InstanceFactory()
    fault = {"kind": "status", "status": 400, "error": "This contact does not exist.", "times": 1}
    messenger.order(instance=instance.number, faults=[fault])
    queue_messages(instance, 5, chats=1)
    wait_until_empty(instance)
    [failed] = OutgoingMessage.objects.failed()
    assert (failed.body, failed.reason, failed.tries) == ("0", "This contact does not exist.", 1)
    assert sent(instance) == {f"{phone(0)}@c.us": [1, 2, 3, 4]}
    assert OutgoingQueue.objects.get(pk=instance.pk).length == 0
    assert_nothing_lost()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503, "share": 0.3},
        {"kind": "status", "status": 429, "share": 0.3, "retryAfter": 1},
        {"kind": "reset", "share": 0.2, "accepts": True},
        {"kind": "garbage", "share": 0.2},
        {"kind": "hang", "times": 2},
    ],
    ids=["5xx", "429 with Retry-After", "resets", "garbage", "hangs"],
)
def test_all_messages_arrive_once_and_in_order_through_a_messenger_that_fails(
    messenger: MessengerProcess, sender: SenderProcess, fault: dict[str, object]
) -> None:
    instance = InstanceFactory()
    messenger.order(instance=instance.number, faults=[fault])
    queue_messages(instance, 30, chats=5)
    # Without an end of the faults, the breaker would make this take minutes.
    wait_until(lambda: SendingTry.objects.exclude(result="sent").exists(), "a try has failed", 60)
    messenger.order(instance=instance.number)
    wait_until_empty(instance, seconds=120)
    assert arrived(messenger, instance) == sent(instance) == in_order(30, chats=5)
    assert not OutgoingMessage.objects.exists()
    assert_nothing_lost()


def test_a_messenger_that_hangs_does_not_hold_another_instance(
    messenger: MessengerProcess, sender: SenderProcess
) -> None:
    hanging, healthy = InstanceFactory(), InstanceFactory()
    messenger.order(instance=hanging.number, faults=[{"kind": "hang"}])
    queue_messages(hanging, 50, chats=50)
    wait_until(lambda: OutgoingMessage.objects.filter(instance=hanging, state="sending").exists(), "it hangs")
    queue_messages(healthy, 100, chats=10)
    wait_until_empty(healthy)
    assert sent(healthy) == in_order(100, chats=10)
    assert OutgoingMessage.objects.filter(instance=hanging).count() == 50


@pytest.mark.parametrize("table", [Instance, OutgoingQueue, OutgoingMessage])
def test_an_instance_that_another_session_has_locked_does_not_hold_another(
    messenger: MessengerProcess, sender: SenderProcess, table: type[Model]
) -> None:
    """The deletion of a million messages keeps such locks for minutes."""
    locked, other = InstanceFactory(), InstanceFactory()
    messenger.order(instance=locked.number, latency=4.0)  # the lock is taken before the first response
    messenger.order(instance=other.number, latency=0.3)
    waiting = OutgoingMessage.objects.waiting().filter(instance=locked)
    column = "id" if table is Instance else "instance_id"
    with worker_slots.connect() as session, session.transaction():
        queue_messages(locked, 6, chats=2)
        wait_until(
            lambda: waiting.filter(state=SendState.SENDING).count() == 2, "two messages are being sent"
        )
        session.execute(
            f"SELECT FROM {table._meta.db_table} WHERE {column} = %s FOR NO KEY UPDATE", [locked.pk]
        )
        messenger.order(instance=locked.number, latency=0.1)
        queue_messages(other, 12, chats=1)
        wait_until_empty(other)
        assert waiting.count() == 6
    wait_until_empty(locked)
    assert arrived(messenger, locked) == sent(locked) == in_order(6, chats=2)
    assert arrived(messenger, other) == sent(other) == in_order(12, chats=1)
    assert messenger.received(locked.number)["repeats"] == {}
    assert SendingTry.objects.filter(instance=locked).count() == 6
    assert_nothing_lost()


def test_the_limits_of_the_messenger_are_waited_for(
    messenger: MessengerProcess, sender: SenderProcess
) -> None:
    instance = InstanceFactory()
    messenger.order(instance=instance.number, rate={"messages": 10, "seconds": 1})
    queue_messages(instance, 30, chats=30)
    wait_until_empty(instance, seconds=90)
    assert arrived(messenger, instance) == in_order(30, chats=30)
    logged = SendingTry.objects.filter(status=429)
    assert set(logged.values_list("result", flat=True)) <= {"retry"}


def test_a_revoked_token_unlinks_the_instance_and_its_messages_wait(
    messenger: MessengerProcess, sender: SenderProcess
) -> None:
    instance = InstanceFactory()
    messenger.order(instance=instance.number, revoked=True)
    queue_messages(instance, 5, chats=5)
    wait_until(lambda: not Instance.objects.get(pk=instance.pk).is_authenticated, "it is unlinked", 30)
    wait_until(lambda: not OutgoingMessage.objects.filter(state="sending").exists(), "nothing is sent", 30)
    assert OutgoingMessage.objects.waiting().count() == 5
    messenger.order(instance=instance.number)
    link_sandbox(Instance.objects.get(pk=instance.pk))
    wait_until_empty(instance)
    assert sent(instance) == in_order(5, chats=5)


def test_a_refused_token_is_not_tried_again_at_once_although_the_instance_is_linked_again(
    messenger: MessengerProcess, sender: SenderProcess
) -> None:
    instance = InstanceFactory()
    messenger.order(instance=instance.number, revoked=True)
    queue_messages(instance, 1, chats=1)
    links = 3
    for _ in range(links):
        wait_until(lambda: not Instance.objects.get(pk=instance.pk).is_authenticated, "it is unlinked", 30)
        link_sandbox(Instance.objects.get(pk=instance.pk))
    wait_until(lambda: not Instance.objects.get(pk=instance.pk).is_authenticated, "it is unlinked", 30)
    # for each link one try, and perhaps one by what the sender knew before it
    assert links < SendingTry.objects.count() <= 2 * (links + 1)


def test_send_delay_is_kept_over_all_chats(messenger: MessengerProcess, sender: SenderProcess) -> None:
    instance = InstanceFactory()
    change_settings(instance, changes={"sendDelay": 1})
    queued_at = timezone.now()
    queue_messages(instance, 4, chats=4)
    wait_until_empty(instance)
    starts = sorted(SendingTry.objects.values_list("started_at", flat=True))
    seconds = [(start - queued_at).total_seconds() for start in starts]
    # Since the queue was filled: a slow machine may need some time between the turn of a message and its request.
    assert all(since >= number - 0.05 for number, since in enumerate(seconds)), seconds
    assert len(seconds) == 4


def test_a_cleared_message_is_not_sent(messenger: MessengerProcess, sender: SenderProcess) -> None:
    instance = InstanceFactory()
    queue_messages(instance, 1, chats=1)
    wait_until_empty(instance)
    messenger.order(instance=instance.number, faults=[{"kind": "hang", "times": 1}])
    queue_messages(instance, 4, chats=1, first=1)
    wait_until(lambda: OutgoingMessage.objects.filter(state="sending").exists(), "the first hangs")
    assert clear_messages(instance).removed == 3
    wait_until_empty(instance)
    assert arrived(messenger, instance) == {f"{phone(0)}@c.us": [0, 1]}
    assert_nothing_lost()


def test_the_sandbox_in_this_process_needs_no_messenger(tmp_path: Path) -> None:
    instances = [InstanceFactory() for _ in range(2)]
    with SenderProcess(tmp_path, ""):
        for instance in instances:
            queue_messages(instance, 150, chats=3)
        wait_until_empty(*instances)
    for instance in instances:
        assert sent(instance) == in_order(150, chats=3)
    assert not SendingTry.objects.exists()
    assert not OutgoingQueue.objects.exclude(owner=None).exists()
    assert_nothing_lost()
    assert Message.objects.filter(time__lte=timezone.now()).count() == 300


def test_a_sender_hands_over_and_its_successor_sends_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    requested: list[str] = []
    monkeypatch.setattr(tasks, "async_task", requested.append)
    instance = InstanceFactory()
    queue_messages(instance, 3, chats=2)
    change_settings(instance, changes={"sendDelay": 1})
    assert tasks.send_outgoing(0.5) == "handed over"
    assert requested == [tasks.SEND_OUTGOING]
    assert OutgoingQueue.objects.get(pk=instance.pk).owner is None
    assert OutgoingMessage.objects.filter(state="queued").exists()
    for _ in range(10):  # on a slow machine one run may send two of three
        if OutgoingMessage.objects.exists():
            tasks.send_outgoing(4.0)
    assert sent(instance) == in_order(3, chats=2)
    numbers = sending_numbers()
    assert (numbers.results["sent"], numbers.waiting, numbers.senders) == (3, 0, 0)
    assert numbers.by_channel["sandbox", "sent"] == 3
    assert sum(numbers.by_channel.values()) == sum(numbers.results.values())
    assert_nothing_lost()
