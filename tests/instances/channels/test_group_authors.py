"""Who wrote in a group: the hook has the person as author, and the group as chat; the group shows their names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hooks.models import Hook
from instances.models import Instance
from tests.doubles.matrix import SERVER
from tests.doubles.telegram import User
from tests.factories import InstanceFactory
from tests.instances.channels.group_chats import shown_names
from tests.instances.channels.matrix.messenger import MatrixMessenger, said
from tests.instances.channels.telegram.messenger import GROUP, TelegramMessenger
from tests.instances.channels.waha.messenger import WahaMessenger
from tests.instances.channels.whatsapp_cloud.messenger import WhatsAppMessenger

pytestmark = pytest.mark.django_db

Expected = tuple[str, dict[str, str]]  # the chat id of the group, and the author by name
ROOM = f"!team:{SERVER}"


def write_in_telegram(instance: Instance, messenger: TelegramMessenger) -> Expected:
    bot = messenger.bot(instance)
    people = {name: User(500_000_000 + number, name) for number, name in enumerate(("Ann", "Ben"))}
    for name, person in people.items():
        messenger.double.write(bot, person, f"I am {name}", chat=bot.chats[GROUP])
    messenger.receive(instance)
    return f"telegram:{GROUP}@g.us", {name: f"telegram:{one.id}@c.us" for name, one in people.items()}


def write_in_matrix(instance: Instance, messenger: MatrixMessenger) -> Expected:
    account = messenger.account(instance)
    for name in ("Ann", "Ben"):
        sender = f"@{name.lower()}:{SERVER}"
        messenger.double.write(account, ROOM, said("chat", f"I am {name}", ""), sender=sender, name=name)
    messenger.deliver(instance)
    return f"matrix:{ROOM}@g.us", {name: f"matrix:@{name.lower()}:{SERVER}@c.us" for name in ("Ann", "Ben")}


def write_in_whatsapp(instance: Instance, messenger: WhatsAppMessenger) -> Expected:
    number = messenger.number(instance)
    phones = {"Ann": "17680561234", "Ben": "17680561235"}
    for name, phone in phones.items():
        message = number.message(phone, body=f"I am {name}", group_id="Y2FwaV9ncm91cA==")
        messenger.deliver(instance, number.messages([message], {phone: name}))
    return "user:Y2FwaV9ncm91cA==@g.us", {name: f"{phone}@c.us" for name, phone in phones.items()}


def write_in_personal_whatsapp(instance: Instance, messenger: WahaMessenger) -> Expected:
    group = "120363000000000001@g.us"
    people = {"Ann": "17680561234@c.us", "Ben": "98765432101234@lid"}  # Ben hides his number
    for name, person in people.items():
        messenger.session(instance).write(group, f"I am {name}", name=name, participant=person)
    messenger.deliver_new(instance)
    return group, people


@pytest.mark.parametrize(
    ("channel", "messenger", "write"),
    [
        ("telegram", TelegramMessenger(), write_in_telegram),
        ("matrix", MatrixMessenger(), write_in_matrix),
        ("whatsapp_cloud", WhatsAppMessenger(), write_in_whatsapp),
        ("waha", WahaMessenger(), write_in_personal_whatsapp),
    ],
)
def test_the_hook_names_who_wrote_in_the_group(
    channel: str, messenger: Any, write: Callable[[Instance, Any], Expected], settings: Any
) -> None:
    for name, value in getattr(messenger, "settings", {}).items():
        setattr(settings, name, value)
    instance: Instance = InstanceFactory(channel=channel, url="https://example.com/hook", token="secret")
    messenger.link(instance)
    chat_id, authors = write(instance, messenger)
    bodies = (
        Hook.objects.filter(endpoint=instance.pk, kind="message")
        .order_by("pk")
        .values_list("body", flat=True)
    )
    messages = [json.loads(bytes(body))["messages"][0] for body in bodies]
    names = shown_names(instance, chat_id)
    assert {name: names[author] for name, author in authors.items()} == {name: name for name in authors}
    for message, (name, author) in zip(messages, authors.items(), strict=True):
        assert (message["body"], message["senderName"]) == (f"I am {name}", name)
        assert (message["chatId"], message["author"]) == (chat_id, author)
        assert message["id"].startswith(f"false_{chat_id}_") and message["id"].endswith(f"_{author}")
