"""Puts the messages of the API in the queue; record.py records their results."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.db import connection

from chatapi.database import prepared
from hooks.sql import bulk_insert
from hooks.wakeups import notify_after_commit
from instances import chat_ids
from instances.actions.media import file_caption
from instances.actions.message_lookup import quote_sent
from instances.models import Instance, Media, MessageType, OutgoingMessage, OutgoingQueue

QUEUE_LIMIT = 400  # contract.md, section 2
# Of NOTIFY: wakes the senders after the commit. The payload is the key of the instance.
OUTGOING_CHANNEL = "outgoing"
TEXT_LIMIT = 65_536  # bytes in UTF-8; the original's limit is unknown
VCARD_LIMIT = 1024 * 1024  # bytes: a vCard may contain a photo


class TooLong(Exception):
    """A text has more than TEXT_LIMIT bytes, or a vCard more than VCARD_LIMIT. str() is a sentence for the caller."""


class QueueFull(Exception):
    """The instance's queue contains QUEUE_LIMIT messages. The text is a sentence for the caller."""


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
    forwards: str = "",
) -> OutgoingMessage:
    """Put a message in the queue. Its id and queue number are final: acks and `messages` use them.

    `chat_id` is a chat id or phone number. With `deletes`, the id of a message, that message is deleted instead.
    `forwards` is the id of the message that this is a copy of. A sent message is its own record, so this writes no
    audit entry.

    Raises:
        chat_ids.BadChatId, TooLong, QueueFull
        UnknownMessage: the quoted message does not exist.
    """
    if type == MessageType.VCARD:
        check_length(body, VCARD_LIMIT, "vCard")
    else:
        check_length(body, TEXT_LIMIT, "text")
    check_length(caption or "", TEXT_LIMIT, "text")
    where = chat_ids.of_chat(chat_id)
    quoted = quote_sent(instance, quoted_id) if quoted_id else None
    outgoing = OutgoingMessage(
        instance=instance,
        message_id=chat_ids.message_id(where, author=instance.own_chat_id, from_me=True, by_api=True),
        chat_id=where,
        type=type,
        body=body,
        caption=file_caption(type, caption, body=body, media=media),
        quoted=quoted,
        metadata=dict(metadata) if metadata else None,
        media=media,
        forwarded=forwarded,
        deletes=deletes,
        forwards=forwards,
    )
    if not enqueue(outgoing):
        raise queue_full()
    return outgoing


def check_length(text: str, limit: int, what: str) -> None:
    """Raises TooLong if the text has more than `limit` bytes in UTF-8."""
    if len(text) > limit or (not text.isascii() and len(text.encode()) > limit):
        raise TooLong(f"Message was not sent: the {what} is longer than {limit} bytes.")


def queue_full() -> QueueFull:
    """Returns the exception with its sentence."""
    return QueueFull(f"Message was not sent: the queue holds {QUEUE_LIMIT} messages, which is the limit.")


def check_can_send(instance: Instance, *, quoted_id: str | None = None) -> None:
    """Raises what send_message would raise now. Call it before expensive work, such as fetching a file."""
    if OutgoingQueue.objects.filter(instance=instance, length__gte=QUEUE_LIMIT).exists():
        raise queue_full()
    if quoted_id:
        quote_sent(instance, quoted_id)


# The instance's row is not locked, only that of its queue, which delete_instance() deletes: of a deleted instance no
# message is accepted. With FOR KEY SHARE, the row has several lockers while a bot calls; a statement that has locked it
# and then updates it (record_at_once.py) waited for those who waited for it: a deadlock.
ENQUEUE = """
    WITH instance AS (
        SELECT id FROM {instances} WHERE {condition}
    ), numbered AS (
        UPDATE {queue} SET last_number = last_number + 1, length = length + 1
        FROM instance WHERE instance_id = instance.id AND length < %s::int
        RETURNING last_number, instance_id
    ), inserted AS (
        INSERT INTO {table} (queue_number, {columns}) SELECT last_number, {values} FROM numbered
        RETURNING id, queue_number, instance_id
    )
    SELECT {result} FROM inserted
"""


@cache
def given_columns() -> list[bulk_insert.Column]:
    """Returns the columns of a new message without its queue number."""
    return [column for column in bulk_insert.columns(OutgoingMessage) if column.name != "queue_number"]


def enqueue_sql(condition: str, values: Sequence[str], result: str) -> str:
    """Returns the statement for the instance that meets the condition; `values` has one SQL value per given column.

    Its parameters are those of the condition, the limit of the queue's length, and those of the values.
    """
    return ENQUEUE.format(
        instances=Instance._meta.db_table,
        condition=condition,
        queue=OutgoingQueue._meta.db_table,
        table=OutgoingMessage._meta.db_table,
        columns=", ".join(column.quoted for column in given_columns()),
        values=", ".join(values),
        result=result,
    )


@cache
def enqueue_by_key_sql() -> str:
    return enqueue_sql("id = %s::bigint", [column.constant for column in given_columns()], "id, queue_number")


def enqueue(outgoing: OutgoingMessage) -> bool:
    """Insert the row with the next queue number and wake the senders. Returns False if the queue is full.

    It is one statement, because calls for one instance wait for each other while the queue's row is locked; it is
    locked only until the commit. The ORM would need four statements.

    Raises Instance.DoesNotExist if the instance was deleted.
    """
    values = [
        column.field.get_db_prep_save(getattr(outgoing, column.attribute), connection)
        for column in given_columns()
    ]
    row = prepared.fetch_one(enqueue_by_key_sql(), [outgoing.instance_id, QUEUE_LIMIT, *values])
    if row is None:
        if not Instance.objects.filter(pk=outgoing.instance_id).exists():
            raise Instance.DoesNotExist(f"Instance {outgoing.instance_id} was deleted.")
        return False
    outgoing.pk, outgoing.queue_number = row[0], row[1]
    outgoing._state.adding, outgoing._state.db = False, connection.alias
    notify_after_commit(OUTGOING_CHANNEL, str(outgoing.instance_id))
    return True
