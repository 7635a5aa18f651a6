"""A second channel, the smallest possible: its messenger is a notepad in the memory of the test.

It is polled, like many messengers, and has no stickers, no read acks and no groups. A channel for a real messenger has
an HTTP client in place of `pad`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hooks.http import Response
from instances import chat_ids
from instances.actions.messages import receive_message, record_ack, type_on_phone
from instances.actions.session import log_out
from instances.actions.status import change_status
from instances.channels.base import Button, Can, CannotDo
from instances.channels.requests import (
    Failed,
    Limits,
    Link,
    Local,
    MessageToSend,
    Prepared,
    Refused,
    Request,
    Result,
    Sent,
)
from instances.commands import Command, MessengerGroup
from instances.models import ActionType, Instance, MessageType, OutgoingMessage


@dataclass
class Pad:
    """The messenger: sent messages by account, chat and idempotency key, and events that were not fetched yet."""

    sent: dict[tuple[int, str], dict[str, str]] = field(default_factory=dict)
    files: dict[int, dict[str, int]] = field(default_factory=dict)  # sizes by account and idempotency key
    events: list[Callable[[], Any]] = field(default_factory=list)
    strangers: set[str] = field(default_factory=set)


class NotepadChannel:
    """Messages are stored under their ids, so sending one twice stores it once."""

    cannot: Mapping[str, str] = {
        MessageType.STICKER: "A notepad takes no stickers.",
        Can.VIEWED: "A notepad does not know when it is read.",
        Can.SCAN: "A notepad is opened without a code.",
        **{button: "A notepad has no such button." for button in Button if button != Button.LOGOUT},
        **{
            type: "A notepad has no groups and no typing."
            for type in ActionType
            if type != ActionType.READ_CHAT
        },
    }

    limits = Limits()
    decides_on_groups = False

    def __init__(self, pad: Pad) -> None:
        self.pad = pad

    def link(self, instance: Instance) -> Link:
        return Link(instance.number, instance.own_chat_id)

    def is_idempotent(self, link: Link) -> bool:
        return True

    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        return Refused(self.cannot[message.type]) if message.type in self.cannot else Local()

    def read(self, request: Request, response: Response) -> Result:
        return Failed("a notepad makes no requests")

    def carry_out(self, taken: Sequence[tuple[Instance, OutgoingMessage]]) -> list[Sent | Refused]:
        return [self.write(instance, outgoing) for instance, outgoing in taken]

    def write(self, instance: Instance, outgoing: OutgoingMessage) -> Sent | Refused:
        texts = self.pad.sent.setdefault((instance.pk, outgoing.chat_id), {})
        if outgoing.deletes:
            texts.pop(outgoing.deletes, None)
            return Sent(())
        texts[outgoing.message_id] = outgoing.body
        if outgoing.media:
            self.pad.files.setdefault(instance.pk, {})[outgoing.message_id] = outgoing.media.size
        return Sent()

    def perform(self, instance: Instance, command: Command) -> MessengerGroup | None:
        if command.type in self.cannot:
            raise CannotDo(self.cannot[command.type])
        return None

    def has_account(self, instance: Instance, phone: str) -> bool:
        return chat_ids.of_phone(phone) not in self.pad.strangers

    def press(self, instance: Instance, button: Button, *, acting_user: Any = None) -> None:
        if button in self.cannot:
            raise CannotDo(self.cannot[button])
        log_out(instance, acting_user=acting_user)

    def qr_text(self, instance: Instance) -> str:
        raise CannotDo(self.cannot[Can.SCAN])

    def work(self, now: datetime) -> int:
        events, self.pad.events[:] = list(self.pad.events), []
        for event in events:
            event()
        return len(events)

    def next_work(self, now: datetime) -> datetime | None:
        return now if self.pad.events else None


class NotepadMessenger:
    """The contacts of the notepad; what they do is an event until the channel fetches it."""

    def __init__(self, pad: Pad) -> None:
        self.pad = pad

    def link(self, instance: Instance) -> None:
        change_status(instance, account_status="authenticated")

    def log_out(self, instance: Instance) -> None:
        self.pad.events.append(lambda: change_status(instance, account_status="got qr code"))

    def write(self, instance: Instance, *, chat_id: str, name: str, **message: Any) -> None:
        self.pad.events.append(lambda: receive_message(instance, sender=chat_id, sender_name=name, **message))

    def type_on_phone(self, instance: Instance, **message: Any) -> None:
        self.pad.events.append(lambda: type_on_phone(instance, **message))

    def acknowledge(self, instance: Instance, *, message_id: str, status: str) -> None:
        self.pad.events.append(lambda: record_ack(instance, message_id=message_id, status=status))

    def received(self, instance: Instance, *, chat_id: str) -> list[str]:
        return list(self.pad.sent.get((instance.pk, chat_id), {}).values())

    def received_files(self, instance: Instance) -> list[int]:
        return list(self.pad.files.get(instance.pk, {}).values())

    def remove_account(self, instance: Instance, phone: str) -> None:
        self.pad.strangers.add(phone)
