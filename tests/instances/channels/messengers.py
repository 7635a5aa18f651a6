"""The Messenger of each channel for the conformance test. A new channel adds its own to MESSENGERS."""

from __future__ import annotations

from typing import Any

from instances.actions.lifecycle import link_sandbox
from instances.channels.sandbox.actions.contacts import change_contact, write_as_contact
from instances.channels.sandbox.actions.phone import apply_phone_event, type_on_sandbox_phone
from instances.channels.sandbox.actions.receipts import acknowledge_as_contact
from instances.models import Ack, Channel, Instance, Message
from tests.instances.channels.conformance import Messenger
from tests.instances.channels.matrix.messenger import MatrixMessenger
from tests.instances.channels.sandbox.messenger_process import MessengerProcess
from tests.instances.channels.telegram.messenger import TelegramMessenger
from tests.instances.channels.waha.messenger import WahaMessenger
from tests.instances.channels.whatsapp_cloud.messenger import WhatsAppMessenger
from tests.instances.channels.xmpp import messenger as xmpp


class SandboxMessenger:
    """The sandbox's contacts, which are rows: each method calls an action."""

    def link(self, instance: Instance) -> None:
        link_sandbox(instance)

    def log_out(self, instance: Instance) -> None:
        apply_phone_event(instance, event="log_out")

    def write(self, instance: Instance, *, chat_id: str, name: str, **message: Any) -> None:
        write_as_contact(instance, sender=chat_id, sender_name=name, **message)

    def type_on_phone(self, instance: Instance, **message: Any) -> None:
        type_on_sandbox_phone(instance, **message)

    def acknowledge(self, instance: Instance, *, message_id: str, status: str) -> None:
        acknowledge_as_contact(instance, message_id=message_id, ack=Ack[status.upper()])

    def received(self, instance: Instance, *, chat_id: str) -> list[str]:
        got = Message.objects.filter(instance=instance, chat__chat_id=chat_id, from_me=True)
        return list(got.order_by("number").values_list("body", flat=True))

    def received_files(self, instance: Instance) -> list[int]:
        got = Message.objects.filter(instance=instance, from_me=True, media__isnull=False)
        return list(got.order_by("number").values_list("media__size", flat=True))

    def remove_account(self, instance: Instance, phone: str) -> None:
        change_contact(instance, phone=phone, has_account=False)


class SandboxMessengerOverHttp(SandboxMessenger):
    """The same contacts; what has reached them is what the process received."""

    def __init__(self, process: MessengerProcess) -> None:
        self.process = process

    def received(self, instance: Instance, *, chat_id: str) -> list[str]:
        chats = self.process.received(instance.number).get("chats", {})
        return [message["body"] for message in chats.get(chat_id, [])]

    def received_files(self, instance: Instance) -> list[int]:
        received = self.process.received(instance.number)
        messages = [message for chat in received["chats"].values() for message in chat]
        return [
            received["files"][message["file"]["id"]]["bytes"] for message in messages if "file" in message
        ]

    def revoke(self, instance: Instance) -> None:
        self.process.order(instance=instance.number, revoked=True)

    def limit(self, instance: Instance, *, seconds: int) -> None:
        self.process.order(
            instance=instance.number, faults=[{"kind": "status", "status": 429, "retryAfter": seconds}]
        )


MESSENGERS: dict[str, Messenger] = {
    Channel.SANDBOX: SandboxMessenger(),
    Channel.WHATSAPP_CLOUD: WhatsAppMessenger(),
    Channel.MATRIX: MatrixMessenger(),
    Channel.TELEGRAM: TelegramMessenger(),
    Channel.WAHA: WahaMessenger(),
    Channel.XMPP: xmpp.MESSENGER,
}
