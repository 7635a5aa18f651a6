"""The last messages that were sent through the API, with their ticks and the time of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from chatapi.ui.json_text import BadJson, parse
from hooks.models import Hook, Kind
from instances.models import Ack, Instance, OutgoingMessage
from instances.pages.messages import conversations

SHOWN = 20
STEPS = ("queued", "sent", "delivered", "viewed")


@dataclass
class Tick:
    """One step of a message; `at` is None where it was reached at a time that nobody kept."""

    name: str
    reached: bool = False
    at: datetime | None = None


@dataclass
class Sent:
    """A message on its way, newest first in the list; `ticks` are always the four of STEPS."""

    message_id: str
    queue_number: int
    chat_id: str
    body: str
    waiting: bool
    label: str = ""  # what it is, if it is no text
    deletes: str = ""  # not a message but the deletion of this one
    ticks: list[Tick] = field(default_factory=list)
    why: str = ""  # what its next tick waits for (ticks_why.explain)

    @property
    def reached(self) -> str:
        """The last step that was reached."""
        return [tick.name for tick in self.ticks if tick.reached][-1]

    def at_step(self, name: str) -> datetime:
        """When it reached this step; now, where nobody knows."""
        return next((tick.at for tick in self.ticks if tick.name == name and tick.at), timezone.now())


def waiting(instance: Instance) -> QuerySet[OutgoingMessage]:
    return OutgoingMessage.objects.filter(instance=instance)


def sent_messages(instance: Instance) -> list[Sent]:
    """The newest SHOWN of those that wait and those that went. Three queries."""
    found = [
        Sent(
            row.message_id,
            row.queue_number,
            row.chat_id,
            conversations.text_of(row),
            True,
            conversations.label_of(row),
            row.deletes,
            queued(row.created_at),
        )
        for row in waiting(instance).order_by("-queue_number")[:SHOWN]
    ]
    gone = instance.messages.select_related("chat").filter(by_api=True).order_by("-number")[:SHOWN]
    times = ack_times(instance, [message.message_id for message in gone])
    for message in gone:
        ticks = queued(message.queued_at)
        for tick, ack in zip(ticks[1:], Ack, strict=True):
            tick.reached = (message.ack or Ack.SENT) >= ack
            tick.at = times.get((message.message_id, ack.label)) or (
                message.time if ack == Ack.SENT else None
            )
        found.append(
            Sent(
                message.message_id,
                message.queue_number or 0,
                message.chat.chat_id,
                conversations.text_of(message),
                False,
                conversations.label_of(message),
                ticks=ticks,
            )
        )
    return sorted(found, key=lambda sent: -sent.queue_number)[:SHOWN]


def queued(at: datetime | None) -> list[Tick]:
    return [Tick("queued", True, at), *(Tick(name) for name in STEPS[1:])]


def ack_times(instance: Instance, message_ids: list[str]) -> dict[tuple[str, str], datetime]:
    """When each tick came: the time of its hook, which is written even where it is not sent."""
    acks = Hook.objects.filter(
        endpoint_id=instance.pk, message__in=message_ids, kind=Kind.ACK, simulated=False
    ).values_list("message", "body", "created_at")
    times = {}
    for message, body, at in acks:
        try:
            status = parse(bytes(body).decode())["ack"][0]["status"]
        except (
            BadJson,
            KeyError,
            IndexError,
            TypeError,
            UnicodeDecodeError,
        ):  # bodies are dropped after 7 days
            continue
        times[message, status] = at
    return times


def cursor(messages: list[Sent], in_queue: int) -> str:
    """Changes when anything that the page shows of them does."""
    steps = "".join(sent.reached[0] for sent in messages)
    reasons = conversations.digest(sent.why for sent in messages)
    return f"{in_queue}.{messages[0].queue_number if messages else 0}.{steps}.{reasons}"
