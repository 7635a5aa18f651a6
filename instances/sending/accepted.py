"""Finds a message that the API has accepted, wherever it is stored, and what it waits for."""

from __future__ import annotations

from hooks import database_clock
from instances.actions.message_lookup import UnknownMessage
from instances.models import Instance, Message, OutgoingMessage, OutgoingQueue
from instances.sending.waits import Wait, explain_queue, explain_wait


def find_accepted(instance: Instance, message_id: str) -> OutgoingMessage | Message:
    """Returns a message that is in the queue, has failed, or was sent; the last one with its chat.

    The queue is searched first: messages move from the queue to the sent messages, never back. At most two queries.

    Raises:
        UnknownMessage: the API has accepted no message with this id, or it was removed.
    """
    message_id = message_id.replace("\0", "")
    outgoing = OutgoingMessage.objects.filter(instance=instance, message_id=message_id).first()
    if outgoing is not None:
        return outgoing
    sent = Message.objects.filter(instance=instance, message_id=message_id, queue_number__isnull=False)
    message = sent.select_related("chat").first()
    if message is None:
        raise UnknownMessage(f"The instance's API has accepted no message with the id {message_id[:200]}.")
    return message


def wait_of(instance: Instance, message: OutgoingMessage) -> tuple[Wait, int]:
    """Returns why a message in the queue waits, and its place, from 1. Two queries."""
    now = database_clock.now()
    queue = OutgoingQueue.objects.get(instance=instance)
    earlier = list(
        OutgoingMessage.objects.waiting()
        .filter(instance=instance, queue_number__lt=message.queue_number)
        .order_by("queue_number")
        .values_list("queue_number", "chat_id")
    )
    of_chat = next((number for number, chat_id in earlier if chat_id == message.chat_id), None)
    of_queue = explain_queue(instance, queue, now=now)
    return explain_wait(message, of_queue, of_chat, now=now), len(earlier) + 1
