"""The messenger's rate holds although a queue moves to another sender, whose lane begins with empty windows."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from hooks import worker_slots
from instances.actions.sending.accept import send_message
from instances.channels.requests import Limits, Rate
from instances.channels.sandbox.channel import SandboxChannel
from instances.models import Instance, Message, OutgoingMessage, OutgoingQueue, SendState
from instances.sending.recent_starts import OF_CHATS, recent_starts
from instances.sending.sender import Sender
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.sending.sending import assert_nothing_lost, phone, queue_messages, wait_until_empty
from tests.instances.sending.test_old_transactions import running_sender

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = 3600.0


@pytest.fixture(autouse=True)
def kept_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty queue is released only with its sender."""
    monkeypatch.setattr("instances.sending.owned_queues.IDLE_SECONDS", HOUR)


def limit(monkeypatch: pytest.MonkeyPatch, limits: Limits) -> None:
    monkeypatch.setattr(SandboxChannel, "limits", limits)


def wait_until_it_waits(sender: Sender, instance: Instance) -> None:
    """Waits until the sender knows the queue's messages and may start none of them for a long time."""

    def waits() -> bool:
        queue = sender.owned.queues.get(instance.pk)
        if queue is None or not queue.lane.chats or not queue.lane.is_quiet:
            return False
        now = time.monotonic()
        at = queue.lane.next_start(now)
        return now + HOUR / 2 < at < now + HOUR

    wait_until(waits, "the queue waits for the window", 60)


@pytest.mark.parametrize("limits", [Limits(per_number=Rate(5, HOUR)), Limits(per_recipient=Rate(5, HOUR))])
def test_the_next_owner_sends_what_the_last_one_has_left_of_the_window(
    monkeypatch: pytest.MonkeyPatch, limits: Limits
) -> None:
    limit(monkeypatch, limits)
    instance = InstanceFactory()
    queue_messages(instance, 3, chats=1)
    with running_sender():
        wait_until_empty(instance)
    queue_messages(instance, 4, chats=1, first=3)
    with running_sender() as sender:
        wait_until_it_waits(sender, instance)
    assert Message.objects.filter(instance=instance).count() == 5
    assert_nothing_lost()


def test_a_message_that_arrives_after_the_queue_was_owned_waits_for_the_window_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(monkeypatch, Limits(per_recipient=Rate(2, HOUR)))
    instance = InstanceFactory()
    queue_messages(instance, 2, chats=1)
    with running_sender():
        wait_until_empty(instance)
    with running_sender() as sender:
        send_message(instance, chat_id=phone(1), body="to another chat")
        wait_until_empty(instance)
        queue_messages(instance, 1, chats=1, first=2)
        wait_until_it_waits(sender, instance)
    assert Message.objects.filter(instance=instance).count() == 3


def test_a_message_that_a_dead_sender_was_sending_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, Limits(per_recipient=Rate(1, HOUR)))
    instance = InstanceFactory()
    queue_messages(instance, 1, chats=1)
    OutgoingMessage.objects.update(state=SendState.SENDING, tries=1, last_try_at=timezone.now())
    OutgoingQueue.objects.filter(pk=instance.pk).update(owner=1)
    with running_sender() as sender:
        wait_until_it_waits(sender, instance)
    assert OutgoingMessage.objects.get().state == SendState.QUEUED


def test_failed_messages_count_and_older_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = InstanceFactory()
    queue_messages(instance, 3, chats=1)
    now = timezone.now()
    for message, age in zip(OutgoingMessage.objects.order_by("pk"), (5, 400, 7000), strict=True):
        at = now - timedelta(seconds=age)
        OutgoingMessage.objects.filter(pk=message.pk).update(
            state=SendState.FAILED, failed_at=at, last_try_at=at
        )
    chat = (instance.pk, f"{phone(0)}@c.us")
    limits = {instance.pk: Limits(per_number=Rate(30, 60.0), per_recipient=Rate(45, HOUR))}
    with worker_slots.connect() as session:
        found = recent_starts(session, limits, [chat], with_number=True)
        assert {key: len(starts) for key, starts in found.items()} == {chat: 2, (instance.pk, ""): 1}
        assert recent_starts(session, {instance.pk: Limits()}, [chat], with_number=True) == {}


def test_the_newest_messages_of_a_chat_are_found_by_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a chat with 5 000 messages, the last ones are read."""
    instance = InstanceFactory()
    queue_messages(instance, 1, chats=1)
    with running_sender():
        wait_until_empty(instance)
    [sent] = Message.objects.filter(instance=instance)
    Message.objects.bulk_create(
        Message(
            instance=instance, number=number, message_id=str(number), chat=sent.chat, author="", from_me=True,
            time=timezone.now() - timedelta(days=1),
        )
        for number in range(sent.number + 1, sent.number + 5_000)
    )  # fmt: skip
    values = {"lanes": [instance.pk], "chats": [sent.chat.chat_id], "seconds": [270.0]}
    with worker_slots.connect() as session:
        found = session.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {OF_CHATS}", values).fetchone()
    assert found
    assert "Seq Scan" not in str(found[0])
    assert max(rows_of(found[0][0]["Plan"])) <= 500


def rows_of(plan: dict[str, object]) -> list[int]:
    """Returns how many rows each node of a plan has returned."""
    below = [rows for each in plan.get("Plans", []) for rows in rows_of(each)]  # type: ignore[attr-defined]
    return [int(plan["Actual Rows"]), *below]  # type: ignore[call-overload]
