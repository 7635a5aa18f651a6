"""A message that the bot has is forwarded with its first sender; another one is copied."""

from __future__ import annotations

from typing import Any

import pytest

from instances.actions.received import record_events
from instances.actions.sending.forwarding import forward_messages
from instances.models import Instance, Message
from instances.received_events import MessageReceived
from instances.sending.outgoing import send_due
from tests.factories import InstanceFactory
from tests.instances.channels.telegram.messenger import ANN, GROUP, TelegramMessenger

pytestmark = pytest.mark.django_db

CHAT, TEAM = f"telegram:{ANN.id}@c.us", f"telegram:{GROUP}@g.us"


def test_what_a_person_and_the_bot_have_written_is_forwarded_and_what_others_wrote_copied(
    settings: Any,
) -> None:
    messenger = TelegramMessenger()
    settings.TELEGRAM_URL = messenger.double.url
    instance: Instance = InstanceFactory(channel="telegram")
    messenger.link(instance)
    bot = messenger.bot(instance)
    messenger.double.write(bot, ANN, "from Ann")
    messenger.receive(instance)
    record_events(
        instance,
        [MessageReceived(key="1:2:3", sender="telegram:7@c.us", body="to another bot")],
        is_patient=False,
    )
    first = Message.objects.order_by("number")
    forward_messages(instance, chat_id=TEAM, message_ids=[each.message_id for each in first])
    while send_due():
        pass
    shown = [(each["text"], "forward_origin" in each) for each in bot.chats[GROUP].messages.values()]
    assert shown == [("from Ann", True), ("to another bot", False)]
    forwarded = Message.objects.get(body="from Ann", from_me=True)
    assert forwarded.forwarded == 1 and forwarded.messenger_id.startswith(f"{bot.user.id}:{GROUP}:")
    forward_messages(instance, chat_id=CHAT, message_ids=[forwarded.message_id])
    while send_due():
        pass
    [back] = [each for each in messenger.double.sent(bot, ANN) if "forward_origin" in each]
    assert back["text"] == "from Ann"
