"""Messages that the API sends: accepted into the queue here, and written down when the channel has taken them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from hooks import bulk_insert
from instances import chat_ids
from instances.actions import events
from instances.actions.chats import chats
from instances.actions.message_lookup import quote_sent
from instances.models import Ack, Chat, Instance, Media, Message, MessageType, OutgoingMessage, OutgoingQueue

QUEUE_LIMIT = 400  # contract.md, section 2
OUTGOING_CHANNEL = "outgoing"  # of NOTIFY: the sending loop wakes at the commit
TEXT_LIMIT = 65_536  # bytes in UTF-8; the original's is not known


class TooLong(Exception):
    """A text of more than TEXT_LIMIT bytes; the text is a sentence for the caller."""


class QueueFull(Exception):
    """The instance's queue holds QUEUE_LIMIT messages already; the text is a sentence for the caller."""


def send_message(
    instance: Instance,
    *,
    chat_id: str,
    body: str,
    type: str = MessageType.CHAT,
    caption: str | None = None,
    quoted_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    media: Media | None = None,
    forwarded: int = 0,
    deletes: str = "",
) -> OutgoingMessage:
    """Accepts a message into the queue. Its id and queue number are final: acks and `messages` use them.

    `chat_id` is a chat id or a phone number; `media` the file that it carries; with `deletes` it is not a message but
    the deletion of that one. Raises chat_ids.BadChatId, TooLong, QueueFull and UnknownMessage (of `quoted_id`); then no
    queue number is spent.
    """
    for text in (body, caption or ""):
        if len(text) > TEXT_LIMIT or (not text.isascii() and len(text.encode()) > TEXT_LIMIT):
            raise TooLong(f"Message was not sent: the text is longer than {TEXT_LIMIT} bytes.")
    where = chat_ids.of_chat(chat_id)
    quoted = quote_sent(instance, quoted_id) if quoted_id else None
    outgoing = OutgoingMessage(
        instance=instance,
        message_id=chat_ids.message_id(where, author=instance.own_chat_id, from_me=True, by_api=True),
        chat_id=where,
        type=type,
        body=body,
        caption=caption,
        quoted=quoted,
        metadata=dict(metadata) if metadata else None,
        media=media,
        forwarded=forwarded,
        deletes=deletes,
    )
    if not enqueue(outgoing):
        raise queue_full()
    return outgoing


def queue_full() -> QueueFull:
    return QueueFull(f"Message was not sent: the queue holds {QUEUE_LIMIT} messages, which is the limit.")


def check_room(instance: Instance, *, quoted_id: str | None = None) -> None:
    """Raises what `send_message` would raise now, before something costly, such as the fetch of a file, is done."""
    if OutgoingQueue.objects.filter(instance=instance, length__gte=QUEUE_LIMIT).exists():
        raise queue_full()
    if quoted_id:
        quote_sent(instance, quoted_id)


ENQUEUE = """
    WITH numbered AS (
        UPDATE {queue} SET last_number = last_number + 1, length = length + 1
        WHERE instance_id = %s AND length < %s
        RETURNING last_number
    ), made AS (
        INSERT INTO {table} (queue_number, {columns}) SELECT last_number, {values} FROM numbered
        RETURNING id, queue_number
    )
    SELECT id, queue_number, pg_notify(%s, '') FROM made
"""


def enqueue(outgoing: OutgoingMessage) -> bool:
    """Writes the row with the next queue number, unless the queue is full, and wakes the sending loop.

    One statement, so that the queue's row is locked for no longer than its commit takes: of one
    instance's calls only one can be in there at a time. Through the ORM it were four.
    """
    fields = [
        field
        for field in OutgoingMessage._meta.concrete_fields
        if not field.primary_key and field.name != "queue_number"
    ]
    sql = ENQUEUE.format(
        queue=OutgoingQueue._meta.db_table,
        table=OutgoingMessage._meta.db_table,
        columns=", ".join(str(field.column) for field in fields),
        values=", ".join(["%s"] * len(fields)),
    )
    values = [field.get_db_prep_save(getattr(outgoing, field.attname), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, [outgoing.instance_id, QUEUE_LIMIT, *values, OUTGOING_CHANNEL])
        row = cursor.fetchone()
    if row is None:
        return False
    outgoing.pk, outgoing.queue_number = row[0], row[1]
    outgoing._state.adding, outgoing._state.db = False, connection.alias
    return True


@transaction.atomic
def record_sent(
    instance: Instance, taken: Sequence[tuple[OutgoingMessage, Sequence[Ack]]], *, next_send_at: datetime
) -> list[Message]:
    """The channel has taken these messages, in this order, and knows these ticks of each already.

    Writes the messages and their hooks, marks those that were deleted, empties the places in the queue, and says
    when the instance may send again. One that has left the queue meanwhile (cleared, or sent by another) is left out.
    """
    events.lock(instance)
    left = leave(outgoing for outgoing, _ in taken)
    deletions = [outgoing.deletes for outgoing, _ in taken if outgoing.pk in left and outgoing.deletes]
    taken = [(outgoing, acks) for outgoing, acks in taken if outgoing.pk in left and not outgoing.deletes]
    first = instance.last_message_number + 1
    instance.last_message_number += len(taken)
    instance.save(update_fields=["last_message_number"])
    now = timezone.now()
    known: dict[str, Chat] = {}
    for outgoing, _ in taken:
        if outgoing.chat_id not in known:
            known[outgoing.chat_id] = chats.chat_for_message(instance, outgoing.chat_id, at=now)
    messages = [
        Message(
            instance=instance,
            number=number,
            message_id=outgoing.message_id,
            chat=known[outgoing.chat_id],
            author=instance.own_chat_id,
            type=outgoing.type,
            body=outgoing.body,
            caption=outgoing.caption,
            from_me=True,
            by_api=True,
            quoted=outgoing.quoted,
            metadata=outgoing.metadata,
            media_id=outgoing.media_id,
            forwarded=outgoing.forwarded,
            ack=max(acks, default=Ack.SENT),
            queue_number=outgoing.queue_number,
            queued_at=outgoing.created_at,
            time=now,
        )
        for number, (outgoing, acks) in enumerate(taken, start=first)
    ]
    bulk_insert.insert(messages)
    emitted: list[events.Event] = []
    for message, (_, acks) in zip(messages, taken, strict=True):
        emitted.append(events.of_message(instance, message, ack=Ack.SENT))  # the ticks follow
        emitted.extend(events.of_ack(instance, message, ack) for ack in acks)
    events.emit(instance, *emitted)
    if deletions:  # after the messages: one may have been waiting right before its deletion
        Message.objects.filter(instance=instance, message_id__in=deletions, deleted_at=None).update(
            deleted_at=now
        )
    # last, so that who sends meanwhile waits for the commit alone
    OutgoingQueue.objects.filter(instance=instance).update(
        length=F("length") - len(left), next_send_at=next_send_at
    )
    return messages


def leave(places: Iterable[OutgoingMessage]) -> set[int]:
    """Takes these out of the queue; the keys of those that were still in it, so that each is sent by one alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            f'DELETE FROM "{OutgoingMessage._meta.db_table}" WHERE id = ANY(%s) RETURNING id',
            [[outgoing.pk for outgoing in places]],
        )
        return {row[0] for row in cursor.fetchall()}
