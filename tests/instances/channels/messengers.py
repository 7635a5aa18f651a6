"""The other side of each channel, for the conformance test. A new channel puts its own into MESSENGERS."""

from __future__ import annotations

from typing import Any

from instances.actions.lifecycle import link_sandbox
from instances.channels.sandbox.actions.contacts import change_contact, write_as_contact
from instances.channels.sandbox.actions.phone import apply_phone_event, type_on_sandbox_phone
from instances.channels.sandbox.actions.receipts import acknowledge_as_contact
from instances.models import Ack, Channel, Instance, Message
from tests.instances.channels.conformance import Messenger


class SandboxMessenger:
    """The sandbox's own people: they are rows, so the actions are all there is to it."""

    def is_linked(self, instance: Instance) -> None:
        link_sandbox(instance)

    def is_logged_out(self, instance: Instance) -> None:
        apply_phone_event(instance, event="log_out")

    def writes(self, instance: Instance, *, chat_id: str, name: str, **message: Any) -> None:
        write_as_contact(instance, sender=chat_id, sender_name=name, **message)

    def types_by_hand(self, instance: Instance, **message: Any) -> None:
        type_on_sandbox_phone(instance, **message)

    def ticks(self, instance: Instance, *, message_id: str, status: str) -> None:
        acknowledge_as_contact(instance, message_id=message_id, ack=Ack[status.upper()])

    def has_got(self, instance: Instance, *, chat_id: str) -> list[str]:
        got = Message.objects.filter(instance=instance, chat__chat_id=chat_id, from_me=True)
        return list(got.order_by("number").values_list("body", flat=True))

    def has_no_account(self, instance: Instance, phone: str) -> None:
        change_contact(instance, phone=phone, has_account=False)


MESSENGERS: dict[str, Messenger] = {Channel.SANDBOX: SandboxMessenger()}
