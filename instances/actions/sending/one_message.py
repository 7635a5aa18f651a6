"""What a user can do with one message of the API: cancel it while it waits, resend it when it has failed.

A message that failed before the messenger accepted it keeps its id when it is resent. The client knows the message by
it, its tries are found by it, and a messenger that takes the id as idempotency key does not send the message twice if
an earlier try did reach the recipient. A message that the messenger had accepted, and reported as failed later, has
been sent under its id: it stays as it is, and its copy is a new message with an id of its own.
"""

from __future__ import annotations

from django.db import connection, transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from hooks.actions.hooks import NotPossible
from hooks.wakeups import notify_after_commit
from instances import chat_ids
from instances.actions.message_lookup import UnknownMessage
from instances.actions.sending.accept import OUTGOING_CHANNEL, QUEUE_LIMIT, enqueue, queue_full
from instances.actions.sending.forwarding import CannotForward, file_of
from instances.actions.sending.message_queue import REMOVABLE_SQL
from instances.models import (
    Instance,
    Media,
    Message,
    MessageState,
    OutgoingMessage,
    OutgoingQueue,
    SendState,
    message_state,
)

BEING_SENT = "This message is being sent now, so it can't be cancelled."
SENT = "This message was sent already, so it can't be cancelled."
FAILED = "This message has failed already. It is not in the queue."
WAITS = "This message is still in the queue. It is sent from there."
NOT_FAILED = "This message was sent. Only a failed message can be resent."

CANCEL = f"""
    DELETE FROM {OutgoingMessage._meta.db_table}
    WHERE instance_id = %s AND message_id = %s AND {REMOVABLE_SQL}
    RETURNING queue_number
"""


@transaction.atomic
def cancel_message(instance: Instance, *, message_id: str, acting_user: User | None = None) -> None:
    """Remove one waiting message from the queue. The messages after it move up.

    The DELETE and a sender's claim lock the message's row, so that exactly one of them gets it.

    Raises:
        UnknownMessage: the API has accepted no message with this id, or it was removed.
        NotPossible: it is being sent, was sent or has failed.
    """
    with connection.cursor() as cursor:
        cursor.execute(CANCEL, [instance.pk, message_id])
        removed = cursor.fetchone()
    if removed is None:
        raise why_not_cancelled(instance, message_id)
    OutgoingQueue.objects.filter(instance=instance).shorten(1, removed=1)
    audit.record(instance, AuditAction.MESSAGE_CANCELLED, acting_user=acting_user, queue_number=removed[0])


def why_not_cancelled(instance: Instance, message_id: str) -> NotPossible | UnknownMessage:
    """Returns the exception with its sentence. At most two queries."""
    outgoing = OutgoingMessage.objects.filter(instance=instance, message_id=message_id).first()
    if outgoing is not None:
        return NotPossible(FAILED if outgoing.state == SendState.FAILED else BEING_SENT)
    if Message.objects.filter(instance=instance, message_id=message_id, queue_number__isnull=False).exists():
        return NotPossible(SENT)
    return unknown(message_id)


def unknown(message_id: str) -> UnknownMessage:
    return UnknownMessage(f"There is no message with the id {message_id[:200]} in the queue.")


@transaction.atomic
def resend_message(
    instance: Instance, *, message_id: str, acting_user: User | None = None
) -> OutgoingMessage:
    """Put a failed message at the end of the queue; returns it, with its new queue number.

    It is tried as if it was accepted now. Its file, if it has one, is kept for another 30 days. Calling it twice for a
    message that the messenger had accepted makes two copies.

    Raises:
        UnknownMessage: the API has accepted no message with this id, or it was removed.
        NotPossible: it has not failed, or its file is no longer kept.
        QueueFull
    """
    outgoing = (
        OutgoingMessage.objects.select_for_update().filter(instance=instance, message_id=message_id).first()
    )
    if outgoing is None:
        resent = enqueue_copy(instance, message_id)
    elif outgoing.state != SendState.FAILED:
        raise NotPossible(WAITS)
    else:
        resent = return_to_queue(outgoing)
    audit.record(
        instance, AuditAction.MESSAGE_RESENT, acting_user=acting_user, queue_number=resent.queue_number
    )
    return resent


def return_to_queue(outgoing: OutgoingMessage) -> OutgoingMessage:
    """Give the locked row of a failed message a new place, as the last of the queue.

    Its old place is counted as removed: with the new one, the message has been accepted twice, and there is one of it.
    Its tries are counted from 0, but an earlier one may have reached the messenger: a channel that can ask must do so.
    """
    extend_file(outgoing)
    queue = OutgoingQueue.objects.select_for_update().get(pk=outgoing.instance_id)
    if queue.length >= QUEUE_LIMIT:
        raise queue_full()
    queue.last_number += 1
    queue.length += 1
    queue.removed += 1
    queue.save(update_fields=["last_number", "length", "removed"])
    if outgoing.tries and outgoing.tried_since is None:
        outgoing.tried_since = outgoing.created_at
    outgoing.queue_number, outgoing.created_at = queue.last_number, timezone.now()
    outgoing.state, outgoing.failed_at, outgoing.reason = SendState.QUEUED, None, ""
    outgoing.tries, outgoing.last_try_at, outgoing.next_try_at = 0, None, None
    outgoing.save(
        update_fields=[
            "queue_number", "created_at", "state", "failed_at", "reason", "tries", "tried_since", "last_try_at",
            "next_try_at",
        ]
    )  # fmt: skip
    notify_after_commit(OUTGOING_CHANNEL, str(outgoing.instance_id))
    return outgoing


def enqueue_copy(instance: Instance, message_id: str) -> OutgoingMessage:
    """Put a copy of a message that the messenger had accepted in the queue, with a new id."""
    sent = Message.objects.filter(instance=instance, message_id=message_id, queue_number__isnull=False)
    original = sent.select_related("media", "chat").first()
    if original is None:
        raise unknown(message_id)
    if message_state(original) != MessageState.FAILED:
        raise NotPossible(NOT_FAILED)
    media = extend_file(original)
    chat_id = original.chat.chat_id
    copy = OutgoingMessage(
        instance=instance,
        message_id=chat_ids.message_id(chat_id, author=instance.own_chat_id, from_me=True, by_api=True),
        chat_id=chat_id,
        type=original.type,
        body=original.body,
        caption=original.caption,
        quoted=original.quoted,
        metadata=original.metadata,
        media=media,
        forwarded=original.forwarded,
    )
    if not enqueue(copy):
        raise queue_full()
    return copy


def extend_file(original: Message | OutgoingMessage) -> Media | None:
    """Keep the message's file for another 30 days. Raises NotPossible if it is no longer kept."""
    try:
        return file_of(original)
    except CannotForward as reason:
        raise NotPossible(str(reason)) from None
