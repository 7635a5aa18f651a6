"""The content of the queue's page: the waiting messages with the reason of each wait, the pace, the failed messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Q, QuerySet
from django.db.models.functions import Left
from django.utils.text import Truncator

from chatapi.ui import durations
from chatapi.ui.states import MESSAGE_STATES, Look
from hooks import database_clock
from instances import chat_ids
from instances.models import Chat, Instance, Message, OutgoingMessage, OutgoingQueue, SendState
from instances.pages.messages import conversations
from instances.sending.explain import explain_message
from instances.sending.waits import Wait, explain_queue, explain_waits

WAITING_SHOWN = 100
FAILED_SHOWN = 25
TEXT_SHOWN = 300  # characters of a message
RATE_WINDOW = timedelta(minutes=1)
RATE_MESSAGES = 500  # newest messages, from which the rate is measured


class WaitingRow(NamedTuple):
    """A message in the queue; `place` counts from 1."""

    message: OutgoingMessage
    place: int
    text: str
    chat: str
    look: Look
    wait: Wait
    due: datetime | None  # when it is tried, if that is known

    @property
    def can_cancel(self) -> bool:
        return self.message.state == SendState.QUEUED

    @property
    def cancel_question(self) -> str:
        return (
            f"Cancel message no. {self.message.queue_number} to {self.chat}? "
            f"“{Truncator(self.text).chars(80)}” is removed from the queue and is not sent."
        )


class FailedRow(NamedTuple):
    """A message that is not sent any more; `sentence` has the messenger's reason."""

    message: OutgoingMessage
    text: str
    chat: str
    sentence: str


class Rate(NamedTuple):
    """How many messages were sent in the last RATE_WINDOW; `per_second` is over the time that was measured."""

    sent: int
    per_second: float

    @property
    def words(self) -> str:
        if self.sent >= RATE_MESSAGES:
            return f"{self.per_second:.0f} per second"
        return f"{self.sent} in the last minute" if self.sent else "none in the last minute"


class QueueView(NamedTuple):
    """Everything on the page that can change. `wait` is why nothing is sent now; None: messages are sent."""

    rows: list[WaitingRow]
    length: int
    wait: Wait | None
    rate: Rate
    remaining: str
    failed: list[FailedRow]
    failed_count: int
    older_failed: int | None

    @property
    def is_waiting(self) -> bool:
        """Whether messages wait for something, or would wait for longer than for sendDelay."""
        return self.wait is not None and (self.length > 0 or self.wait.until is None)

    @property
    def clear_question(self) -> str:
        messages = f"{self.length} queued message{'' if self.length == 1 else 's'}"
        return f"Remove {messages}? They are not sent. This cannot be undone."

    @property
    def cursor(self) -> str:
        """Changes when anything shown changes."""
        return conversations.digest(
            [
                self.length,
                self.is_waiting and self.wait,
                self.rate.words,
                self.remaining,
                self.failed_count,
                *(
                    (row.message.pk, row.look, row.message.tries, row.wait, row.due, row.chat)
                    for row in self.rows
                ),
                *((row.message.pk, row.sentence, row.chat) for row in self.failed),
            ]
        )


def read_queue(instance: Instance, *, failed_before: int | None = None) -> QueueView:
    """Returns the start of the queue and a page of the failed messages, newest first. Six queries."""
    now = database_clock.now()
    queue = OutgoingQueue.objects.get(instance=instance)
    found = OutgoingMessage.objects.waiting().filter(instance=instance).order_by("queue_number")
    waiting = shortened(found[:WAITING_SHOWN])
    failed, older = read_failed(instance, before=failed_before)
    failed_count = OutgoingMessage.objects.failed().filter(instance=instance).count()
    rate = measure_rate(instance, now)
    names = chat_names(instance, [*waiting, *failed])
    of_queue = explain_queue(instance, queue, now=now)
    rows = [
        WaitingRow(
            message,
            place,
            describe(message),
            names[message.chat_id],
            MESSAGE_STATES[message.state],
            wait,
            due_of(instance, wait, of_queue, place),
        )
        for place, (message, wait) in enumerate(
            zip(waiting, explain_waits(instance, queue, waiting, now=now), strict=True), start=1
        )
    ]
    return QueueView(
        rows,
        queue.length,
        of_queue,
        rate,
        remaining_words(instance, queue.length, of_queue, rate),
        [
            FailedRow(message, describe(message), names[message.chat_id], explain_message(message))
            for message in failed
        ],
        failed_count,
        older,
    )


def due_of(instance: Instance, wait: Wait, of_queue: Wait | None, place: int) -> datetime | None:
    """Returns when the message at this place is tried; with sendDelay, each place is one delay later."""
    if wait.until is None or wait != of_queue:
        return wait.until
    return wait.until + timedelta(seconds=instance.send_delay * (place - 1))


def read_failed(instance: Instance, *, before: int | None) -> tuple[list[OutgoingMessage], int | None]:
    """Returns failed messages, newest first, and where the next page begins. One query, two for a later page.

    `before` is the key of the last message of the previous page.
    """
    found = OutgoingMessage.objects.failed().filter(instance=instance)
    last = found.filter(pk=before).values_list("failed_at", flat=True).first() if before is not None else None
    if last is not None:  # else the first page: the message was resent or deleted meanwhile
        found = found.filter(Q(failed_at__lt=last) | Q(failed_at=last, pk__lt=before))
    rows = shortened(found.order_by("-failed_at", "-pk")[: FAILED_SHOWN + 1])
    return rows[:FAILED_SHOWN], rows[FAILED_SHOWN - 1].pk if len(rows) > FAILED_SHOWN else None


def shortened(found: QuerySet[OutgoingMessage]) -> list[OutgoingMessage]:
    """Returns the messages with the start of their text alone, which can have 64 KB. One query."""
    body = OutgoingMessage._meta.get_field("body")  # a text of this field is masked where bodies are
    rows: list[OutgoingMessage] = list(
        found.defer("body", "quoted", "metadata").annotate(start=Left("body", TEXT_SHOWN, output_field=body))
    )
    for row in rows:
        row.body = row.start  # type: ignore[attr-defined]  # annotated
    return rows


def measure_rate(instance: Instance, now: datetime) -> Rate:
    """Returns how fast messages of the API were sent lately. One query."""
    newest = Message.objects.filter(instance=instance).order_by("-number")
    since = now - RATE_WINDOW
    times = [
        at
        for number, at in newest.values_list("queue_number", "time")[:RATE_MESSAGES]
        if number is not None and at > since
    ]
    if not times:
        return Rate(0, 0)
    measured = now - times[-1] if len(times) >= RATE_MESSAGES else RATE_WINDOW
    return Rate(len(times), len(times) / max(measured.total_seconds(), 1))


def remaining_words(instance: Instance, length: int, wait: Wait | None, rate: Rate) -> str:
    """Returns when the queue will be empty at the present pace: "in about 2 min"; empty if that is unknown."""
    if not length or (wait is not None and wait.until is None):
        return ""
    if instance.send_delay:
        seconds: float = length * instance.send_delay
    elif wait is None and rate.per_second:
        seconds = length / rate.per_second
    else:
        return ""
    return f"in about {durations.in_words(timedelta(seconds=max(round(seconds), 1)))}"


def describe(message: OutgoingMessage | Message) -> str:
    """Returns a message in a few words: its type, unless it is text, and its text."""
    if isinstance(message, OutgoingMessage) and message.deletes:
        return "Deletes a message"
    return f"{conversations.label_of(message)} {conversations.text_of(message)}".strip()[:TEXT_SHOWN]


def chat_names(instance: Instance, messages: Sequence[OutgoingMessage]) -> dict[str, str]:
    """Returns the name of each message's chat, or its number: {chat id: name}. At most one query."""
    ids = {message.chat_id for message in messages}
    found: Iterable[tuple[str, str]] = ()
    if ids:
        found = Chat.objects.filter(instance=instance, chat_id__in=ids).values_list("chat_id", "name")
    named = {chat_id: name for chat_id, name in found if name}
    return {chat_id: named.get(chat_id) or chat_ids.label(chat_id) for chat_id in ids}
