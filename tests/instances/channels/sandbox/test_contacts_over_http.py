"""Sandbox contacts receive and read messages in the same way with and without HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from instances.actions.chats.groups import create_group
from instances.actions.sending.accept import send_message
from instances.channels import CHANNELS
from instances.channels.requests import Result, Sent
from instances.channels.sandbox.actions.contacts import change_contact
from instances.models import Ack, Instance, SandboxReceipt
from tests.factories import InstanceFactory
from tests.instances.channels.sandbox.messenger_process import MessengerProcess
from tests.instances.channels.sending import send

ANN, BEN = "17680561234@c.us", "4915112345678@c.us"
GROUP = "17680561234-1479621234@g.us"
UP_TO = {ack: tuple(each for each in Ack if each <= ack) for ack in Ack}


@pytest.fixture(params=["in this process", "over HTTP"])
def instance(
    request: pytest.FixtureRequest, db: None, settings: Any, messenger: MessengerProcess
) -> Instance:
    settings.SANDBOX_OVER_HTTP = request.param == "over HTTP"
    settings.SANDBOX_MESSENGER_URL = messenger.url
    created: Instance = InstanceFactory(url="https://example.com/hook")
    return created


def sent(instance: Instance, chat_id: str = ANN) -> Result:
    return send(CHANNELS[instance.channel], instance, send_message(instance, chat_id=chat_id, body="hello"))


def planned() -> list[tuple[str, int, bool]]:
    """Returns the contact, the ack and whether it has a time, of each planned ack."""
    rows = SandboxReceipt.objects.order_by("chat_id").values_list("chat_id", "ack", "due_at")
    return [(chat_id, ack, due_at is not None) for chat_id, ack, due_at in rows]


@pytest.mark.parametrize(
    ("behaviour", "highest", "later"),
    [
        ({}, Ack.DELIVERED, []),
        ({"online": False}, Ack.SENT, []),
        ({"blocks": True}, Ack.SENT, []),
        ({"has_account": False}, Ack.SENT, []),
        ({"deliver_after": None}, Ack.SENT, []),
        ({"deliver_after": 5}, Ack.SENT, [(ANN, Ack.DELIVERED, True)]),
        ({"read_after": 5}, Ack.DELIVERED, [(ANN, Ack.VIEWED, True)]),
        ({"read_after": 0}, Ack.VIEWED, []),
    ],
    ids=str,
)
def test_a_contact_acknowledges_as_it_is_set(
    instance: Instance, behaviour: dict[str, Any], highest: Ack, later: list[tuple[str, int, bool]]
) -> None:
    if behaviour:
        change_contact(instance, phone=ANN, **behaviour)
    result = sent(instance)
    assert isinstance(result, Sent) and result.acks == UP_TO[highest]
    assert planned() == later


def test_a_group_acknowledges_once_all_its_members_have(instance: Instance) -> None:
    change_contact(instance, phone=BEN, online=False)
    create_group(instance, chat_id=GROUP, name="Holidays", members=[ANN, BEN], admins=[instance.own_chat_id])
    result = sent(instance, GROUP)
    assert isinstance(result, Sent) and result.acks == UP_TO[Ack.SENT]
    assert planned() == [(ANN, Ack.VIEWED, False), (BEN, Ack.DELIVERED, False)]


def test_a_deletion_has_no_acks_and_plans_none(instance: Instance) -> None:
    deletion = send_message(instance, chat_id=ANN, body="", deletes="true_17680561234@c.us_3EB0")
    assert send(CHANNELS[instance.channel], instance, deletion) == Sent(())
    assert planned() == []
