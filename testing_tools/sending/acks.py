"""The last messages sent through the API, each with its acks and the time of each ack, or with why it has failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from instances.models import Ack, Instance, OutgoingMessage
from instances.pages.messages import conversations
from instances.sending.explain import explain_message
from instances.turns.ack_times import ack_times

SHOWN = 20
STEPS = ("queued", "sent", "delivered", "viewed")


@dataclass
class Step:
    """One step of a message. `at` is None if it was not reached, or its time was not stored."""

    name: str
    reached: bool = False
    at: datetime | None = None


@dataclass
class SentMessage:
    """A queued, sent or failed message. `steps` are always the four of STEPS."""

    message_id: str
    queue_number: int
    chat_id: str
    body: str
    is_queued: bool
    label: str = ""  # its type, unless it is text
    deletes: str = ""  # the id of the message to delete, if it is a deletion and not a message
    steps: list[Step] = field(default_factory=list)
    reason: str = ""  # what its next step waits for (missing_acks.explain)
    failure: str = ""  # why it is not sent any more

    @property
    def reached(self) -> str:
        """The name of the last step reached."""
        return [step.name for step in self.steps if step.reached][-1]

    def time_of(self, name: str) -> datetime:
        """Returns the time of this step; now, if it is unknown."""
        return next((step.at for step in self.steps if step.name == name and step.at), timezone.now())


def queued_messages(instance: Instance) -> QuerySet[OutgoingMessage]:
    return OutgoingMessage.objects.waiting().filter(instance=instance)


def sent_messages(instance: Instance) -> list[SentMessage]:
    """Returns the newest SHOWN queued, failed and sent messages, newest first. Four queries."""
    failed = OutgoingMessage.objects.failed().filter(instance=instance)
    found = [
        SentMessage(
            row.message_id,
            row.queue_number,
            row.chat_id,
            conversations.text_of(row),
            is_queued=row.failed_at is None,
            label=conversations.label_of(row),
            deletes=row.deletes,
            steps=initial_steps(row.created_at),
            failure=explain_message(row) if row.failed_at else "",
        )
        for row in (
            *queued_messages(instance).order_by("-queue_number")[:SHOWN],
            *failed.order_by("-failed_at")[:SHOWN],
        )
    ]
    sent = instance.messages.select_related("chat").filter(by_api=True).order_by("-number")[:SHOWN]
    times = ack_times(instance, [message.message_id for message in sent])
    for message in sent:
        steps = initial_steps(message.queued_at)
        for step, ack in zip(steps[1:], Ack, strict=True):
            step.reached = (message.ack or Ack.SENT) >= ack
            step.at = times.get((message.message_id, ack.label)) or (
                message.time if ack == Ack.SENT else None
            )
        found.append(
            SentMessage(
                message.message_id,
                message.queue_number or 0,
                message.chat.chat_id,
                conversations.text_of(message),
                is_queued=False,
                label=conversations.label_of(message),
                steps=steps,
            )
        )
    return sorted(found, key=lambda message: -message.queue_number)[:SHOWN]


def initial_steps(queued_at: datetime | None) -> list[Step]:
    return [Step("queued", True, queued_at), *(Step(name) for name in STEPS[1:])]


def cursor(messages: Sequence[SentMessage], in_queue: int) -> str:
    """Returns a value that changes whenever the page's view of these messages changes."""
    steps = "".join(message.reached[0] for message in messages)
    reasons = conversations.digest((message.reason, message.failure) for message in messages)
    return f"{in_queue}.{messages[0].queue_number if messages else 0}.{steps}.{reasons}"
