"""Marking chats as read and showing that someone types, by requests to the double."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from instances.actions.chats.chats import Denied
from instances.channels.whatsapp_cloud.channel import WhatsAppCloudChannel
from instances.commands import ReadChat, ShowActivity
from instances.models import Channel, Chat, Instance, Message
from tests.factories import InstanceFactory
from tests.instances.channels.whatsapp_cloud.messenger import WhatsAppMessenger

pytestmark = pytest.mark.django_db
CHANNEL, ANN = WhatsAppCloudChannel(), "17680561234@c.us"


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


def test_the_last_message_is_marked_and_typing_shown(
    messenger: WhatsAppMessenger, instance: Instance
) -> None:
    for key in ("one", "two"):
        messenger.write(instance, chat_id=ANN, name="Ann", type="chat", body=key, key=key)
    CHANNEL.perform(instance, ReadChat(ANN))
    CHANNEL.perform(instance, ShowActivity(ANN, Chat.Activity.TYPING, 5))
    CHANNEL.perform(instance, ShowActivity(ANN, Chat.Activity.TYPING, 0))
    reads = messenger.number(instance).reads
    assert [(one["message_id"], one.get("typing_indicator")) for one in reads] == [
        ("wamid.two", None),
        ("wamid.two", {"type": "text"}),
    ]


def test_nothing_is_asked_in_a_chat_without_a_message_of_the_contact(
    messenger: WhatsAppMessenger, instance: Instance
) -> None:
    CHANNEL.perform(instance, ReadChat("4915112345678@c.us"))
    assert messenger.number(instance).reads == []


def test_a_refusal_has_a_reason(messenger: WhatsAppMessenger, instance: Instance) -> None:
    messenger.write(instance, chat_id=ANN, name="Ann", type="chat", body="hi", key="one")
    messenger.revoke(instance)
    with pytest.raises(Denied, match="invalid or has expired"):
        CHANNEL.perform(instance, ReadChat(ANN))


def test_a_message_from_before_the_move_to_this_channel_is_not_named(
    messenger: WhatsAppMessenger, instance: Instance
) -> None:
    messenger.write(instance, chat_id=ANN, name="Ann", type="chat", body="hi", key="one")
    Message.objects.filter(instance=instance).update(messenger_id="false_17680561234@c.us_3EB0")
    CHANNEL.perform(instance, ReadChat(ANN))
    CHANNEL.perform(instance, ShowActivity(ANN, Chat.Activity.TYPING, 5))
    assert messenger.number(instance).reads == []
