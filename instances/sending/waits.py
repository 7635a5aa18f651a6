"""Explains why the messages of a queue wait, and until when, as the queue's page and REST show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from instances.models import Instance, OutgoingMessage, OutgoingQueue, SendState


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a message or a whole queue is not sent now; `until` is None if it depends on something else than time.

    `is_pace`: only sendDelay is waited for.
    """

    words: str
    until: datetime | None = None
    is_pace: bool = False


SENDING = Wait("Being sent now")


def explain_waits(
    instance: Instance, queue: OutgoingQueue, waiting: Sequence[OutgoingMessage], *, now: datetime
) -> list[Wait]:
    """Returns the wait of each message; `waiting` is the start of the queue, in the order of the numbers. No query."""
    of_queue = explain_queue(instance, queue, now=now)
    open_chats: dict[str, int] = {}  # chat → number of the first message that waits for it
    found = []
    for message in waiting:
        found.append(explain_wait(message, of_queue, open_chats.get(message.chat_id), now=now))
        open_chats.setdefault(message.chat_id, message.queue_number)
    return found


def explain_queue(instance: Instance, queue: OutgoingQueue, *, now: datetime) -> Wait | None:
    """Returns why nothing is sent from this queue now; None if messages are sent as they come. No query."""
    if instance.is_stopped:
        return Wait("The instance is stopped")
    if not instance.is_paid:
        return Wait(
            "The trial of this instance has ended" if instance.is_trial else "The instance is not paid"
        )
    if not instance.is_authenticated:
        return Wait("The instance is not linked")
    if not instance.is_connected:
        return Wait("The phone is not connected")
    if queue.waits_until is not None and queue.waits_until > now and queue.wait_reason:
        return Wait(first_upper(queue.wait_reason), queue.waits_until)
    if instance.send_delay and queue.next_send_at > now:
        return Wait(f"sendDelay: one message every {instance.send_delay} s", queue.next_send_at, is_pace=True)
    return None


def explain_wait(
    message: OutgoingMessage, of_queue: Wait | None, earlier: int | None, *, now: datetime
) -> Wait:
    """Returns the wait of one message; `earlier` is the number of the message to its chat that is sent before it."""
    if message.state == SendState.SENDING:
        return SENDING
    if earlier is not None:
        return Wait(f"Sent after no. {earlier}, to the same chat")
    if message.next_try_at is not None and message.next_try_at > now:
        until = message.next_try_at
        if of_queue is not None and (of_queue.until is None or of_queue.until > until):
            return of_queue
        return Wait(first_upper(message.reason) or "It is tried again", until)
    return of_queue or Wait("Its turn comes next")


def pace_words(instance: Instance) -> str:
    """Returns the pace that the settings allow."""
    if instance.send_delay:
        return f"one every {instance.send_delay} s"
    return "no delay set"


def first_upper(text: str) -> str:
    """Returns a reason with a capital letter and without a full stop, as all words of waits."""
    return text[:1].upper() + text[1:].rstrip(".")
