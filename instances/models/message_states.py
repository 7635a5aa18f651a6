"""The states of a message that the API has accepted, from its queue to its last ack."""

from __future__ import annotations

from django.db import models

from instances.models.choices import Ack, SendState
from instances.models.messages import Message
from instances.models.queues import OutgoingMessage


class MessageState(models.TextChoices):
    """The state of an accepted message, wherever it is stored."""

    QUEUED = "queued", "Queued"
    SENDING = "sending", "Sending"
    SENT = "sent", "Sent"
    DELIVERED = "delivered", "Delivered"
    VIEWED = "viewed", "Viewed"
    FAILED = "failed", "Failed"


OF_ACKS = {Ack.DELIVERED: MessageState.DELIVERED, Ack.VIEWED: MessageState.VIEWED}
OF_QUEUE = {
    SendState.QUEUED: MessageState.QUEUED,
    SendState.SENDING: MessageState.SENDING,
    SendState.FAILED: MessageState.FAILED,
}


def message_state(message: OutgoingMessage | Message) -> MessageState:
    """Returns the state of an outgoing message.

    A failure that the messenger reports for a message which was delivered or viewed does not lower its state.
    """
    if isinstance(message, OutgoingMessage):
        return OF_QUEUE[SendState(message.state)]
    return sent_message_state(message.ack, has_failed=message.failed_at is not None)


def sent_message_state(ack: int | None, *, has_failed: bool) -> MessageState:
    """Returns the state of a Message by its columns."""
    known = OF_ACKS.get(Ack(ack)) if ack else None
    return known or (MessageState.FAILED if has_failed else MessageState.SENT)
