"""Records what a messenger reports, through the actions of each event, in the caller's transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import DataError

from instances.actions import events
from instances.actions.bans import Banned
from instances.actions.message_lookup import UnknownMessage
from instances.actions.messages import receive_message, record_ack, type_on_phone
from instances.actions.status import change_status
from instances.models import Instance, OutgoingMessage
from instances.received_events import (
    MessageAcked,
    MessageReceived,
    MessageTyped,
    ReceivedEvent,
    StatusReported,
)

log = logging.getLogger(__name__)


class NotRecordedYet(Exception):
    """An ack is of a message that is being sent: it can be recorded in a moment. The text is a sentence."""


@dataclass
class Recorded:
    """`refused` has a sentence for each event that cannot be recorded, however often it is tried."""

    number: int = 0
    refused: list[str] = field(default_factory=list)


def record_events(instance: Instance, reported: Sequence[ReceivedEvent], *, is_patient: bool) -> Recorded:
    """Record the events in order, with their hooks. Call it in a transaction; nothing of it is committed here.

    An event that its action refuses does not stop the others. An event that was reported before changes nothing.

    Raises:
        NotRecordedYet: `is_patient`, and an ack is of a message that is still in the queue. Otherwise it is left out.
        Instance.DoesNotExist: the instance was deleted.
    """
    recorded = Recorded()
    events.lock(instance)
    for event in reported:
        try:
            record_event(instance, event, is_patient=is_patient)
            recorded.number += 1
        except Banned:
            continue  # the contact got the preBanMessage, in this transaction
        except (ValueError, DataError) as error:
            recorded.refused.append(f"{type(event).__name__}: {str(error).strip().split(chr(10))[0]}")
    return recorded


def record_event(instance: Instance, event: ReceivedEvent, *, is_patient: bool) -> None:
    """Record one event; a refusal rolls back its own savepoint only."""
    match event:
        case MessageReceived() | MessageTyped() if not event.key:
            raise ValueError(
                "a message without the messenger's id would be recorded again when it is repeated"
            )
        case MessageReceived():
            receive_message(
                instance,
                sender=event.sender,
                sender_name=event.sender_name,
                chat_id=event.chat_id,
                key=event.key,
                type=event.type,
                body=event.body,
                caption=event.caption,
                forwarded=event.forwarded,
                time=event.time,
            )
        case MessageTyped():
            type_on_phone(
                instance,
                chat_id=event.chat_id,
                key=event.key,
                type=event.type,
                body=event.body,
                caption=event.caption,
                forwarded=event.forwarded,
                time=event.time,
            )
        case MessageAcked():
            record_reported_ack(instance, event, is_patient=is_patient)
        case StatusReported():
            change_status(
                instance, account_status=event.account_status, substatus=event.substatus, reason=event.reason
            )


def record_reported_ack(instance: Instance, event: MessageAcked, *, is_patient: bool) -> None:
    """Record an ack. A messenger may report it before the sender has recorded that the message was sent."""
    try:
        record_ack(instance, message_id=event.message_id, status=event.ack.label)
    except UnknownMessage:
        waiting = OutgoingMessage.objects.waiting().filter(instance=instance, message_id=event.message_id)
        if is_patient and waiting.exists():
            raise NotRecordedYet(
                "The messenger reports an ack of a message that is still being sent."
            ) from None
        log.info("instance %s: an ack of an unknown message was left out", instance.number)
