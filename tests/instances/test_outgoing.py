"""The outgoing queue: limit, order and pace."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from hooks.models import Hook
from instances.actions.lifecycle import record_payment
from instances.actions.message_lookup import UnknownMessage
from instances.actions.messages import receive_message
from instances.actions.sending.accept import QueueFull, send_message
from instances.actions.sending.record import SentMessage, record_results
from instances.actions.settings import change_settings
from instances.channels.requests import Sent
from instances.channels.sandbox.channel import SandboxChannel
from instances.models import Instance, Message, OutgoingMessage, OutgoingQueue
from instances.sending import claims, lanes, outgoing
from tests.factories import InstanceFactory


def send(instance: Instance, *bodies: str) -> None:
    for body in bodies:
        send_message(instance, chat_id="17680561234", body=body)


def queue() -> tuple[int, int]:
    """Returns the last number and the length of the only queue."""
    return OutgoingQueue.objects.values_list("last_number", "length").get()


def sent_texts() -> list[str]:
    return list(Message.objects.order_by("number").values_list("body", flat=True))


def test_messages_are_sent_in_queue_order(instance: Instance) -> None:
    send(instance, "one", "two", "three")
    assert outgoing.send_due() == 3
    assert sent_texts() == ["one", "two", "three"]
    assert not OutgoingMessage.objects.exists()
    assert outgoing.send_due() == 0


def test_a_long_queue_needs_several_passes(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "LOCAL_TURN", 20)
    bodies = [str(number) for number in range(45)]
    send(instance, *bodies)
    assert [outgoing.send_due() for _ in range(4)] == [20, 20, 5, 0]
    assert queue() == (45, 0)
    assert sent_texts() == bodies


def test_with_send_delay_one_message_is_sent_at_a_time(instance: Instance) -> None:
    change_settings(instance, changes={"sendDelay": 5})
    send(instance, "one", "two")
    now = timezone.now()
    assert outgoing.send_due(now) == 1
    assert outgoing.send_due(now + timedelta(seconds=4.9)) == 0
    assert outgoing.send_due(now + timedelta(seconds=5)) == 1
    assert sent_texts() == ["one", "two"]


@pytest.mark.parametrize("status", ["init", "loading", "got qr code"])
def test_nothing_is_sent_before_the_instance_is_authenticated(instance: Instance, status: str) -> None:
    Instance.objects.update(account_status=status)
    send(instance, "one")
    assert outgoing.send_due() == 0
    Instance.objects.update(account_status="authenticated")
    assert outgoing.send_due() == 1


def test_nothing_is_sent_while_the_instance_is_not_paid(instance: Instance) -> None:
    send(instance, "one")
    Instance.objects.update(paid_until=timezone.now() - timedelta(seconds=1))
    assert outgoing.send_due() == 0
    record_payment(instance, days=1)
    assert outgoing.send_due() == 1


def test_the_queue_accepts_400_messages_and_rejects_one_more(instance: Instance) -> None:
    OutgoingMessage.objects.bulk_create(
        OutgoingMessage(instance=instance, queue_number=n, message_id=str(n), chat_id="1@c.us", body="")
        for n in range(1, 400)
    )
    OutgoingQueue.objects.update(last_number=399, length=399)
    send(instance, "the 400th")
    with pytest.raises(QueueFull, match="400"):
        send(instance, "one more")
    assert queue() == (400, 400)
    assert OutgoingMessage.objects.count() == 400


def test_a_message_that_has_left_the_queue_is_recorded_once(instance: Instance) -> None:
    send(instance, "one", "two")
    first, second = OutgoingMessage.objects.order_by("queue_number")
    assert record_results([SentMessage(first)]) == 1
    assert record_results([SentMessage(first), SentMessage(second)]) == 1
    assert list(Message.objects.order_by("number").values_list("number", "body")) == [(1, "one"), (2, "two")]
    assert queue() == (2, 0)


def test_an_instance_whose_channel_fails_does_not_stop_others(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = InstanceFactory(owner__email="bob@example.org")
    send(instance, "broken")
    send(other, "fine")

    def carry_out(channel: SandboxChannel, taken: list[tuple[Instance, OutgoingMessage]]) -> list[Sent]:
        if taken[0][0] == instance:
            raise ConnectionError("the messenger is not reachable")
        return [Sent(())]

    monkeypatch.setattr(SandboxChannel, "carry_out", carry_out)
    now = timezone.now()
    assert outgoing.send_due(now) == 1
    assert sent_texts() == ["fine"]
    assert "the messenger is not reachable" in caplog.text
    monkeypatch.undo()
    assert outgoing.send_due(now + timedelta(seconds=10)) == 1


def test_no_transaction_is_open_while_the_channel_works(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = InstanceFactory()
    send(instance, "one")
    was_open = []

    def carry_out(channel: SandboxChannel, taken: list[tuple[Instance, OutgoingMessage]]) -> list[Sent]:
        was_open.append(connection.in_atomic_block)
        return [Sent(())]

    monkeypatch.setattr(SandboxChannel, "carry_out", carry_out)
    outgoing.send_due()
    assert was_open == [False]


def test_a_message_stores_the_message_it_quotes(instance: Instance) -> None:
    asked = receive_message(instance, sender="17680561234", body="which one?")
    send_message(instance, chat_id="17680561234", body="that", quoted_id=asked.message_id)
    outgoing.send_due()
    quoted = {"id": asked.message_id, "body": "which one?", "type": "chat"}
    assert Message.objects.get(body="that").quoted == quoted


def test_quoting_an_unknown_message_uses_no_queue_number(instance: Instance) -> None:
    with pytest.raises(UnknownMessage):
        send_message(instance, chat_id="17680561234", body="that", quoted_id="false_1@c.us_AB")
    assert (queue(), OutgoingMessage.objects.count(), Hook.objects.count()) == ((0, 0), 0, 0)


def test_a_queue_belongs_to_one_sender_until_it_dies(instance: Instance) -> None:
    """Then what it was sending is sent again. Other queues wait for their sendDelay."""
    paced = InstanceFactory()
    change_settings(paced, changes={"sendDelay": 60})
    send(paced, "first", "second")
    assert outgoing.send_due() == 1
    send(instance, "one")
    [one] = OutgoingMessage.objects.filter(body="one")
    with outgoing.owner() as (session, me):
        assert list(claims.own(session, me, [instance.pk])) == [instance.pk]
        assert [each.pk for each in claims.take(session, me, [instance.pk], [one.pk])] == [one.pk]
        assert outgoing.send_due() == 0
        with outgoing.owner() as (_, other):
            assert claims.own(session, other, [instance.pk]) == {}
            assert claims.take(session, other, [instance.pk], [one.pk]) == []
        one.refresh_from_db()
        assert (one.state, one.tries) == ("sending", 1)
    assert outgoing.send_due() == 1  # the sender has died
    assert sent_texts() == ["first", "one"]


def test_what_an_instance_sends_has_to_be_taken_while_it_may_send(instance: Instance) -> None:
    send(instance, "one")
    [one] = OutgoingMessage.objects.all()
    with outgoing.owner() as (session, me):
        claims.own(session, me, [instance.pk])
        Instance.objects.update(account_status="got qr code")
        assert claims.take(session, me, [instance.pk], [one.pk]) == []


def test_a_message_that_fails_here_holds_the_ones_after_it_in_its_chat(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(instance, "one", "two")
    send_message(instance, chat_id="4915112345678", body="to another chat")

    def carry_out(channel: SandboxChannel, taken: list[tuple[Instance, OutgoingMessage]]) -> list[Sent]:
        if "one" in [message.body for _, message in taken]:
            raise ConnectionError("not now")
        return [Sent(()) for _ in taken]

    monkeypatch.setattr(SandboxChannel, "carry_out", carry_out)
    now = timezone.now()
    assert outgoing.send_due(now) == 1
    assert sent_texts() == ["to another chat"]
    one, two = OutgoingMessage.objects.order_by("queue_number")
    assert (one.state, one.reason, two.state, two.next_try_at) == ("queued", "not now", "queued", None)
    assert outgoing.send_due(now) == 0
    monkeypatch.undo()
    assert outgoing.send_due(now + timedelta(seconds=10)) == 2
    assert sent_texts() == ["to another chat", "one", "two"]
