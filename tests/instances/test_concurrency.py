"""Concurrent work on one instance: no gaps, nothing twice, hooks in the order of the events."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from hooks.models import Hook
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.channels.sandbox.actions.reset import reset_sandbox
from instances.models import Chat, Instance, Message, OutgoingMessage, OutgoingQueue
from instances.sending import outgoing
from tests.factories import InstanceFactory

THREADS = 6
TIMES = 15


def run_in_threads(work: Callable[[int], object]) -> None:
    """Run `work(0)` … `work(THREADS - 1)` in parallel threads, each with its own database connection."""

    def run(number: int) -> None:
        try:
            work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as threads:
        for done in [threads.submit(run, number) for number in range(THREADS)]:
            done.result()


@pytest.fixture
def instance(transactional_db: None) -> Instance:
    return InstanceFactory(number=12345, url="https://example.com/hook")


def test_received_messages_have_no_gap_and_their_hooks_are_in_order(instance: Instance) -> None:
    def receive(thread: int) -> None:
        mine = Instance.objects.get(pk=instance.pk)
        for time in range(TIMES):
            receive_message(mine, sender="17680561234", body=f"{thread} {time}")

    run_in_threads(receive)
    everything = list(range(1, THREADS * TIMES + 1))
    assert list(Message.objects.order_by("number").values_list("number", flat=True)) == everything
    bodies = Hook.objects.filter(kind="message").order_by("id").values_list("body", flat=True)
    assert [json.loads(bytes(body))["messages"][0]["messageNumber"] for body in bodies] == everything
    assert Chat.objects.count() == 1


def test_sent_messages_have_no_gap_in_their_queue_numbers(instance: Instance) -> None:
    def send(thread: int) -> None:
        mine = Instance.objects.get(pk=instance.pk)
        for time in range(TIMES):
            send_message(mine, chat_id="17680561234", body=f"{thread} {time}")

    run_in_threads(send)
    numbers = OutgoingMessage.objects.order_by("queue_number").values_list("queue_number", flat=True)
    assert list(numbers) == list(range(1, THREADS * TIMES + 1))


def test_several_senders_and_writers_lose_nothing_and_send_nothing_twice(instance: Instance) -> None:
    def work(thread: int) -> None:
        mine = Instance.objects.get(pk=instance.pk)
        for time in range(TIMES):
            if thread % 2:
                outgoing.send_due()
            else:
                send_message(mine, chat_id="17680561234", body=f"{thread} {time}")

    run_in_threads(work)
    while outgoing.send_due():
        pass
    writers = THREADS // 2
    messages = list(Message.objects.order_by("number").values_list("number", "queue_number"))
    assert messages == [(number, number) for number in range(1, writers * TIMES + 1)]
    assert not OutgoingMessage.objects.exists()
    assert OutgoingQueue.objects.values_list("last_number", "length").get() == (writers * TIMES, 0)


def test_a_message_accepted_while_the_queue_is_emptied_is_sent(instance: Instance) -> None:
    def work(thread: int) -> None:
        mine = Instance.objects.get(pk=instance.pk)
        for time in range(TIMES):
            if thread == 0:
                reset_sandbox(mine)
            else:
                send_message(mine, chat_id="17680561234", body=f"{thread} {time}")

    run_in_threads(work)
    assert OutgoingQueue.objects.get().length == OutgoingMessage.objects.count()
    while outgoing.send_due():
        pass
    assert (OutgoingMessage.objects.count(), OutgoingQueue.objects.get().length) == (0, 0)
