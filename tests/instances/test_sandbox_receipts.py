"""The behaviour of the sandbox's contacts: when they receive and read messages, and when never."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hooks.models import Hook
from instances.actions.message_lookup import UnknownMessage
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.channels.requests import Sent
from instances.channels.sandbox.actions.contacts import change_contact
from instances.channels.sandbox.actions.groups import change_group_as_contact, create_group_as_contact
from instances.channels.sandbox.actions.phone import apply_phone_event, change_phone, type_on_sandbox_phone
from instances.channels.sandbox.actions.receipts import acknowledge_as_contact
from instances.channels.sandbox.actions.reset import reset_sandbox
from instances.models import Ack, Instance, Message, SandboxReceipt
from instances.sending import channel_work, outgoing
from tests.factories import InstanceFactory
from tests.instances.conftest import Emitted

ANN, BEN, CLEO = "17680561234@c.us", "4915112345678@c.us", "447700900123@c.us"


def contact(instance: Instance, phone: str = ANN, **behaviour: Any) -> None:
    change_contact(instance, phone=phone, **behaviour)


def sent(instance: Instance, chat_id: str = ANN, body: str = "good day") -> str:
    message_id = send_message(instance, chat_id=chat_id, body=body).message_id
    assert outgoing.send_due() == 1
    return message_id


def pass_time(seconds: float) -> None:
    """Run the channels' work that is due within these seconds from now."""
    now = timezone.now() + timedelta(seconds=seconds)
    while channel_work.run_channel_work(now):
        pass


def acks(emitted: Emitted) -> list[str]:
    return [item["status"] for kind, _, item in emitted() if kind == "ack"]


def test_a_contact_without_a_row_receives_immediately_and_never_reads(
    instance: Instance, emitted: Emitted
) -> None:
    sent(instance)
    pass_time(10_000)
    assert acks(emitted) == ["sent", "delivered"]
    assert not SandboxReceipt.objects.exists()


def test_a_contact_receives_after_half_a_minute_and_reads_a_minute_later(
    instance: Instance, emitted: Emitted
) -> None:
    contact(instance, deliver_after=30, read_after=60)
    sent(instance)
    pass_time(1)
    assert acks(emitted) == ["sent"]
    pass_time(31)
    assert acks(emitted) == ["sent", "delivered"]
    pass_time(50)
    assert acks(emitted) == ["sent", "delivered"]
    pass_time(100)
    assert acks(emitted) == ["sent", "delivered", "viewed"]
    assert not SandboxReceipt.objects.exists()


def test_a_contact_who_reads_immediately_makes_three_acks_in_order(
    instance: Instance, emitted: Emitted
) -> None:
    contact(instance, read_after=0)
    message_id = sent(instance)
    assert acks(emitted) == ["sent", "delivered", "viewed"]
    assert [item["id"] for kind, _, item in emitted() if kind == "ack"] == [message_id] * 3


def test_an_offline_contact_receives_messages_when_online(instance: Instance, emitted: Emitted) -> None:
    contact(instance, online=False, read_after=0)
    sent(instance)
    pass_time(10_000)
    assert acks(emitted) == ["sent"]
    contact(instance, online=True)
    pass_time(1)
    assert acks(emitted) == ["sent", "delivered", "viewed"]


def test_a_contact_who_goes_offline_reads_when_online(instance: Instance, emitted: Emitted) -> None:
    contact(instance, read_after=5)
    sent(instance)
    contact(instance, online=False)
    pass_time(100)
    assert acks(emitted) == ["sent", "delivered"]
    contact(instance, online=True)
    pass_time(6)
    assert acks(emitted) == ["sent", "delivered", "viewed"]


@pytest.mark.parametrize("away", [{"blocks": True}, {"has_account": False}])
def test_a_message_to_an_unreachable_contact_stays_at_sent(
    instance: Instance, emitted: Emitted, away: dict[str, Any]
) -> None:
    contact(instance, **away)
    sent(instance)
    reachable: dict[str, Any] = {name: not value for name, value in away.items()}
    contact(instance, **reachable)
    pass_time(10_000)
    assert acks(emitted) == ["sent"]
    sent(instance, body="again")
    assert acks(emitted) == ["sent", "sent", "delivered"]


def test_a_contact_who_starts_to_read_reads_earlier_messages(instance: Instance, emitted: Emitted) -> None:
    sent(instance)
    contact(instance, read_after=0)
    pass_time(1)
    assert acks(emitted) == ["sent", "delivered", "viewed"]


def group(instance: Instance) -> str:
    return create_group_as_contact(instance, name="Holidays", by=ANN, members=[BEN, CLEO]).chat_id


def test_a_group_message_is_delivered_and_viewed_when_every_member_has(
    instance: Instance, emitted: Emitted
) -> None:
    contact(instance, ANN, read_after=0)
    contact(instance, BEN, deliver_after=60, read_after=60)
    contact(instance, CLEO, read_after=2)
    sent(instance, group(instance))
    pass_time(4)
    assert acks(emitted) == ["sent"]
    pass_time(61)
    assert acks(emitted) == ["sent", "delivered"]
    pass_time(130)
    assert acks(emitted) == ["sent", "delivered", "viewed"]


def test_a_group_with_a_member_who_never_reads_is_never_viewed(instance: Instance, emitted: Emitted) -> None:
    for one in (ANN, BEN):
        contact(instance, one, read_after=0)
    message_id = sent(instance, group(instance))
    pass_time(10_000)
    assert acks(emitted) == ["sent", "delivered"]
    acknowledge_as_contact(instance, message_id=message_id, ack=Ack.VIEWED, contact=CLEO)
    assert acks(emitted) == ["sent", "delivered", "viewed"]


def test_a_member_who_has_left_is_not_waited_for(instance: Instance, emitted: Emitted) -> None:
    contact(instance, ANN, read_after=1)
    contact(instance, BEN, read_after=1)
    chat_id = group(instance)
    sent(instance, chat_id)
    change_group_as_contact(instance, group_id=chat_id, remove=[CLEO])
    pass_time(2)
    assert acks(emitted) == ["sent", "delivered", "viewed"]


def test_an_ack_by_hand_in_a_group_is_of_one_member(instance: Instance, emitted: Emitted) -> None:
    for one in (ANN, BEN, CLEO):
        contact(instance, one, online=False)
    message_id = sent(instance, group(instance))
    for one in (ANN, BEN):
        assert (
            acknowledge_as_contact(instance, message_id=message_id, ack=Ack.DELIVERED, contact=one)[1]
            is False
        )
    assert acks(emitted) == ["sent"]
    acknowledge_as_contact(instance, message_id=message_id, ack=Ack.DELIVERED, contact=CLEO)
    assert acks(emitted) == ["sent", "delivered"]
    acknowledge_as_contact(instance, message_id=message_id, ack=Ack.VIEWED)
    assert acks(emitted) == ["sent", "delivered", "viewed"]
    with pytest.raises(UnknownMessage):
        acknowledge_as_contact(instance, message_id=message_id, ack=Ack.VIEWED, contact="33612345678@c.us")


def test_acks_wait_while_the_phone_is_not_connected(instance: Instance, emitted: Emitted) -> None:
    contact(instance, read_after=1)
    sent(instance)
    apply_phone_event(instance, event="disconnect")
    pass_time(100)
    assert channel_work.next_channel_work() is None
    assert acks(emitted) == ["sent", "delivered"]
    apply_phone_event(instance, event="connect")
    pass_time(100)
    assert acks(emitted) == ["sent", "delivered", "viewed"]


def test_messages_wait_in_the_queue_while_the_phone_is_not_connected(instance: Instance) -> None:
    apply_phone_event(instance, event="disconnect")
    send_message(instance, chat_id=ANN, body="good day")
    assert outgoing.send_due() == 0
    apply_phone_event(instance, event="connect")
    assert outgoing.send_due() == 1


def test_a_message_typed_on_the_phone_is_read_and_its_acks_create_no_hooks(
    instance: Instance, emitted: Emitted
) -> None:
    contact(instance, read_after=1)
    message = type_on_sandbox_phone(instance, chat_id=ANN, body="by hand")
    pass_time(2)
    assert Message.objects.get(pk=message.pk).ack == Ack.VIEWED
    assert {skip for kind, skip, _ in emitted() if kind == "ack"} == {"typed_on_phone"}


def test_an_ack_of_a_message_that_is_not_recorded_yet_comes_a_second_later(
    instance: Instance, emitted: Emitted
) -> None:
    """The process died between the messenger and the database."""
    contact(instance, read_after=0, deliver_after=1)
    message = send_message(instance, chat_id=ANN, body="good day")
    outgoing.channel_of(instance).carry_out([(instance, message)])
    channel_work.run_channel_work(timezone.now() + timedelta(seconds=2))
    assert SandboxReceipt.objects.count() == 1
    assert outgoing.send_due() == 1
    pass_time(10)
    assert acks(emitted) == ["sent", "delivered", "viewed"]


def test_the_receipt_of_a_cleared_message_is_deleted(instance: Instance) -> None:
    contact(instance, deliver_after=1)
    message = send_message(instance, chat_id=ANN, body="good day")
    outgoing.channel_of(instance).carry_out([(instance, message)])
    message.delete()
    pass_time(2)
    assert not SandboxReceipt.objects.exists()


def test_many_due_acks_of_one_instance_delay_another_by_at_most_one_pass(
    instance: Instance,
) -> None:
    other = InstanceFactory(owner__email="bob@example.org", url="https://example.com/hook")
    now = timezone.now()
    for one, count in ((instance, 250), (other, 1)):
        chat = receive_message(one, sender=ANN, body="hello").chat
        Message.objects.bulk_create(
            Message(
                instance=one, number=n, message_id=f"true_{n}", chat=chat, author="x", from_me=True, ack=1,
                by_api=True,
            )
            for n in range(2, 2 + count)
        )  # fmt: skip
        SandboxReceipt.objects.bulk_create(
            SandboxReceipt(instance=one, message_id=f"true_{n}", chat_id=ANN, ack=2, due_at=now)
            for n in range(2, 2 + count)
        )
    assert channel_work.run_channel_work(now) == 101
    assert not SandboxReceipt.objects.filter(instance=other).exists()
    assert [channel_work.run_channel_work(now) for _ in range(3)] == [100, 50, 0]
    assert Hook.objects.filter(endpoint=instance.pk, kind="ack").count() == 250


def test_reset_keeps_settings_hooks_and_numbers(instance: Instance) -> None:
    contact(instance, deliver_after=9)
    sent(instance)
    receive_message(instance, sender=ANN, body="hello")
    send_message(instance, chat_id=ANN, body="waits")
    change_phone(instance, battery=3)
    hooks = Hook.objects.count()
    reset_sandbox(instance)
    for left in (instance.messages, instance.chats, instance.outgoing, instance.sandbox_contacts):
        assert left.count() == 0
    assert (instance.battery, instance.substatus, instance.queue.length) == (90, "normal", 0)
    assert Hook.objects.count() == hooks + 1  # of the status
    assert receive_message(instance, sender=ANN, body="new").number == 3


def test_the_contacts_of_many_messages_are_read_by_one_query(
    instance: Instance, django_assert_num_queries: Any
) -> None:
    other = InstanceFactory(owner__email="bob@example.org")
    contact(instance, read_after=0)
    taken = [(each, send_message(each, chat_id=ANN, body="hi")) for each in (instance, other) * 10]
    with django_assert_num_queries(1):
        results = outgoing.channel_of(instance).carry_out(taken)
    viewed = (Ack.SENT, Ack.DELIVERED, Ack.VIEWED)
    assert results == [Sent(viewed), Sent(viewed[:2])] * 10


def test_the_acks_that_are_due_later_are_planned_for_many_messages_at_once(
    instance: Instance, django_assert_num_queries: Any
) -> None:
    contact(instance, deliver_after=5)
    taken = [(instance, send_message(instance, chat_id=ANN, body="hi")) for _ in range(10)]
    for _ in range(2):  # the process died before the first result was recorded
        with django_assert_num_queries(5):  # contacts, deletion and insert in a savepoint
            outgoing.channel_of(instance).carry_out(taken)
    assert SandboxReceipt.objects.count() == 10
