"""Sending while WhatsApp limits, fails, hangs and says nonsense: nothing is lost, and order holds in each chat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from hooks import database_clock
from instances.actions.sending.accept import send_message
from instances.models import Ack, Channel, Instance, Message
from instances.sending import outgoing
from tests.doubles.whatsapp_cloud import Fault, Number
from tests.factories import InstanceFactory
from tests.instances.channels.whatsapp_cloud.messenger import WhatsAppMessenger

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = [f"1768056{index:04}" for index in range(4)]


@pytest.fixture
def messenger(settings: Any) -> Iterator[WhatsAppMessenger]:
    messenger = WhatsAppMessenger()
    settings.WHATSAPP_URL = messenger.double.url
    yield messenger
    messenger.double.__exit__()


@pytest.fixture
def instance(messenger: WhatsAppMessenger) -> Instance:
    linked: Instance = InstanceFactory(channel=Channel.WHATSAPP_CLOUD, url="https://example.com/hook")
    messenger.link(linked)
    return linked


def fill(instance: Instance, number: int) -> None:
    for index in range(number):
        send_message(instance, chat_id=f"{PEOPLE[index % len(PEOPLE)]}@c.us", body=str(index))


def send_all(instance: Instance) -> None:
    """Send, with the clock put forward between the tries, until nothing waits."""
    now = database_clock.now()
    for _ in range(200):
        while outgoing.send_due(now):
            pass
        if not instance.outgoing.waiting().exists():
            return
        now += timedelta(seconds=30)
    raise AssertionError("messages still wait")


def bodies(number: Number, who: str) -> list[str]:
    return [one["text"]["body"] for one in number.received(who)]


def test_a_storm_of_limits_and_failures_loses_and_doubles_nothing(
    messenger: WhatsAppMessenger, instance: Instance
) -> None:
    number = messenger.number(instance)
    number.faults.extend([
        Fault(status=429, retry_after=1), Fault(code=130429), Fault(code=131056), Fault(code=80007),
        Fault(code=131000), Fault(code=131016), Fault(code=131057), Fault(status=502, body=b"<html>"),
        Fault(body=b"not JSON"), Fault(body=b"{}"), Fault(code=4, retry_after=3), Fault(code=131056),
    ])  # fmt: skip
    fill(instance, 12)
    send_all(instance)
    assert not number.faults
    for index, who in enumerate(PEOPLE):
        assert bodies(number, who) == [str(one) for one in range(index, 12, len(PEOPLE))]
    sent = Message.objects.filter(instance=instance, from_me=True)
    assert set(sent.values_list("messenger_id", flat=True)) == {one["id"] for one in number.accepted}


def test_a_refused_message_fails_with_its_reason_and_the_next_is_sent(
    messenger: WhatsAppMessenger, instance: Instance
) -> None:
    number = messenger.number(instance)
    number.has_window = True
    fill(instance, 1)
    send_all(instance)
    [failed] = instance.outgoing.all()
    assert failed.failed_at is not None
    assert "has not written in the last 24 hours" in failed.reason and "(131047)" in failed.reason
    messenger.write(instance, chat_id=f"{PEOPLE[0]}@c.us", name="Ann", type="chat", body="hi", key="one")
    fill(instance, 1)
    send_all(instance)
    assert bodies(number, PEOPLE[0]) == ["0"]


def test_an_accepted_message_that_fails_later_is_shown_as_failed(
    messenger: WhatsAppMessenger, instance: Instance
) -> None:
    number = messenger.number(instance)
    fill(instance, 2)
    send_all(instance)
    first, second = number.accepted
    messenger.deliver(instance, number.report(second["id"], "read", push=False))
    for sent in (first, second):
        messenger.deliver(instance, number.report(sent["id"], "failed", error=131026, push=False))
    acks = {one.messenger_id: one.ack for one in Message.objects.filter(instance=instance)}
    assert acks[second["id"]] == Ack.VIEWED, "what was read has not failed"
    reasons = json.dumps([str(vars(one)) for one in Message.objects.filter(messenger_id=first["id"])])
    assert "131026" in reasons


def test_a_number_with_another_id_at_whatsapp_is_remembered(
    messenger: WhatsAppMessenger, instance: Instance
) -> None:
    number = messenger.number(instance)
    number.other_ids["5511987654321"] = "551187654321"
    for body in ("one", "two"):
        send_message(instance, chat_id="5511987654321@c.us", body=body)
        send_all(instance)
    assert [one["to"] for one in number.accepted] == ["551187654321"] * 2


def test_a_message_whose_response_is_lost_may_be_sent_twice_and_says_so(
    messenger: WhatsAppMessenger, instance: Instance, settings: Any
) -> None:
    settings.HOOKS_DEADLINE_MS = 3000  # enough for a double that does not hang
    number = messenger.number(instance)
    number.faults.append(Fault(seconds=5, is_accepted=True))
    fill(instance, 1)
    send_all(instance)
    assert bodies(number, PEOPLE[0]) == ["0", "0"]
    [sent] = Message.objects.filter(instance=instance, from_me=True)
    assert sent.maybe_twice
    assert sent.messenger_id == number.accepted[-1]["id"]


def test_a_number_that_hangs_does_not_hold_up_another(
    messenger: WhatsAppMessenger, instance: Instance, settings: Any
) -> None:
    settings.HOOKS_DEADLINE_MS = 3000  # enough for a double that does not hang
    other: Instance = InstanceFactory(channel=Channel.WHATSAPP_CLOUD, url="https://example.com/hook")
    messenger.link(other)
    messenger.number(instance).faults.extend([Fault(seconds=5)] * 2)
    fill(instance, 1)
    fill(other, 1)
    outgoing.send_due()
    assert bodies(messenger.number(other), PEOPLE[0]) == ["0"]
    send_all(instance)
    assert bodies(messenger.number(instance), PEOPLE[0]) == ["0"]
