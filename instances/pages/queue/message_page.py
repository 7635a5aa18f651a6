"""The content of a message's page: its state, its times, its tries, and what it waits for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from chatapi.ui.states import MESSAGE_STATES, Look
from instances.channels import channel_of
from instances.channels.own_ids import LEFT_OUT, own_id
from instances.models import (
    Ack,
    Chat,
    Instance,
    Message,
    MessageState,
    OutgoingMessage,
    SendingTry,
    SendState,
    message_state,
)
from instances.pages.log.timeline import TimelineEntry
from instances.pages.messages import conversations
from instances.pages.queue.tries import ShownTry, show
from instances.sending.accepted import wait_of
from instances.sending.explain import TWICE, explain_message
from instances.sending.waits import Wait
from instances.turns.ack_times import ack_times

TRIES_SHOWN = 30  # the newest
FINAL = (MessageState.VIEWED, MessageState.FAILED)


class MessageView(NamedTuple):
    """A message that the API has accepted. `wait` is set while it is in the queue."""

    message: OutgoingMessage | Message
    state: MessageState
    look: Look
    sentence: str
    wait: Wait | None
    place: int  # in the queue, from 1; 0: it is not in the queue
    twice: str  # that it may have been sent twice
    unquoted: str  # that its quote is left out
    tries: list[ShownTry]  # the newest, newest first
    has_older_tries: bool
    timeline: list[TimelineEntry]
    chat_id: str
    has_chat: bool  # a chat starts with its first message that was sent or received
    text: str
    label: str
    link: str  # the URL of its file

    @property
    def is_final(self) -> bool:
        """Whether nothing on the page changes any more by itself."""
        return self.state in FINAL

    @property
    def can_cancel(self) -> bool:
        return self.state == MessageState.QUEUED

    @property
    def can_resend(self) -> bool:
        return self.state == MessageState.FAILED

    @property
    def cursor(self) -> str:
        """Changes when anything shown changes."""
        entries = [(entry.at, entry.words) for entry in self.timeline]
        return conversations.digest(
            [self.state, self.sentence, self.wait, self.place, self.twice, len(self.tries), entries]
        )


def read_message(instance: Instance, message: OutgoingMessage | Message) -> MessageView:
    """Returns what the page shows. Two queries, four for a message in the queue, one more for a quote."""
    state = message_state(message)
    found = SendingTry.objects.filter(instance=instance, message_id=message.message_id)
    newest = list(found.order_by("-started_at", "-id")[: TRIES_SHOWN + 1])
    rows = newest[:TRIES_SHOWN][::-1]
    tries = [show(row, is_retried=row is not rows[-1] or state != MessageState.FAILED) for row in rows]
    wait, place = (
        wait_of(instance, message)
        if isinstance(message, OutgoingMessage) and message.state != SendState.FAILED
        else (None, 0)
    )
    return MessageView(
        message=message,
        state=state,
        look=MESSAGE_STATES[state],
        sentence=explain_message(message),
        wait=wait,
        place=place,
        twice=TWICE if message.maybe_twice else "",
        unquoted=LEFT_OUT if quotes_other_messenger(instance, message) else "",
        tries=tries[::-1],
        has_older_tries=len(newest) > TRIES_SHOWN,
        timeline=timeline_of(instance, message, tries, wait),
        chat_id=message.chat_id if isinstance(message, OutgoingMessage) else message.chat.chat_id,
        has_chat=isinstance(message, Message)
        or Chat.objects.filter(instance=instance, chat_id=message.chat_id).exists(),
        text=conversations.text_of(message),
        label=conversations.label_of(message),
        link=message.body
        if message.type in conversations.FILES and conversations.is_link(message.body)
        else "",
    )


def quotes_other_messenger(instance: Instance, message: OutgoingMessage | Message) -> bool:
    """Whether the messenger of the instance's channel does not know the quoted message. No query without a quote."""
    if not message.quoted:
        return False
    found = Message.objects.filter(instance=instance, message_id=message.quoted["id"]).values_list(
        "messenger_id", flat=True
    )
    messenger_id = found.first() or ""
    return messenger_id != own_id(channel_of(instance), messenger_id)


def timeline_of(
    instance: Instance, message: OutgoingMessage | Message, tries: list[ShownTry], wait: Wait | None
) -> list[TimelineEntry]:
    """Returns what has happened, and what is next. At most one query.

    A message that was resent has tries from before it was queued again.
    """
    queued_at = message.created_at if isinstance(message, OutgoingMessage) else message.queued_at
    was_resent = any(queued_at and shown.attempt.started_at < queued_at for shown in tries)
    past = [entry("Queued again" if was_resent else "Queued", queued_at, MESSAGE_STATES["queued"])]
    past += [
        entry(f"Try {shown.attempt.number}: {shown.verdict.word}", shown.attempt.started_at, shown.verdict)
        for shown in tries
    ]
    if isinstance(message, Message):
        past += acks_of(instance, message)
    if message.failed_at is not None:
        past.append(entry("Failed", message.failed_at, MESSAGE_STATES["failed"]))
    past = in_order(past)
    if wait is None or not isinstance(message, OutgoingMessage):
        return past
    if message.state == SendState.SENDING:
        words = f"Try {max(message.tries, 1)} in progress"
        return [*past, TimelineEntry(message.last_try_at, words, *MESSAGE_STATES["sending"][1:])]
    words = f"Try {message.tries + 1}, planned"
    return [*past, TimelineEntry(wait.until, words, "azure", "clock", is_planned=True)]


def in_order(entries: list[TimelineEntry]) -> list[TimelineEntry]:
    """Returns the entries by time; one without a time stays behind the one before it."""
    times: list[datetime] = []
    for one in entries:
        times.append(one.at or (times[-1] if times else datetime.min.replace(tzinfo=UTC)))
    return [one for _, one in sorted(zip(times, entries, strict=True), key=lambda pair: pair[0])]


def acks_of(instance: Instance, message: Message) -> list[TimelineEntry]:
    """Returns the acks that the message has, with their times as far as they are known. One query."""
    times = ack_times(instance, [message.message_id])
    reached = message.ack or Ack.SENT
    acks = [ack for ack in Ack if ack <= reached]
    return [
        entry(
            MESSAGE_STATES[ack.label].word,
            times.get((message.message_id, ack.label)) or (message.time if ack == Ack.SENT else None),
            MESSAGE_STATES[ack.label],
        )
        for ack in acks
    ]


def entry(words: str, at: datetime | None, look: Look) -> TimelineEntry:
    return TimelineEntry(at, words, look.color, look.icon, when="time unknown")
