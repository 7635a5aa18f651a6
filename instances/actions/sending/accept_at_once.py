"""Finds an instance by its number and token and puts a text in its queue, in one statement, in the usual case.

The usual case: a text for a person, without a quote or mentions, of an instance that is connected and whose queue is
not full. For all others nothing is written, and the caller loads the instance and calls accept.send_message(), which
knows the errors. A round trip to PostgreSQL costs both sides more than its own work, because they wait for each other
and find their caches cold.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import NamedTuple

from django.utils import timezone

from chatapi.database import prepared
from hooks.sql import bulk_insert
from hooks.wakeups import notify_after_commit
from instances import chat_ids
from instances.actions.sending import accept
from instances.models.instances import CONNECTED_SQL

# What a text has, in the order of the columns; all others have the model's defaults, constants of the statement.
GIVEN = ("message_id", "chat_id", "body", "created_at")


class Accepted(NamedTuple):
    """A message in the queue."""

    chat_id: str
    message_id: str
    queue_number: int


def accept_text(
    *, number: int, token_digest: str, channels: Collection[str], chat_id: str, body: str
) -> Accepted | None:
    """Put a text in the queue of the instance with this number and token, if it is linked by one of these channels.

    Returns None if this is not the usual case; nothing was written then.

    Raises:
        chat_ids.BadChatId, accept.TooLong
    """
    accept.check_length(body, accept.TEXT_LIMIT, "text")
    where = chat_ids.of_chat(chat_id)
    if chat_ids.is_group(where):
        return None
    now = timezone.now()
    message_id = chat_ids.message_id(where, author="", from_me=True, by_api=True)
    found = [number, token_digest, as_array(channels), now]
    row = prepared.fetch_one(accept_text_sql(), [*found, accept.QUEUE_LIMIT, message_id, where, body, now])
    if row is None:
        return None
    instance_id, queue_number = row
    notify_after_commit(accept.OUTGOING_CHANNEL, str(instance_id))
    return Accepted(where, message_id, queue_number)


@cache
def accept_text_sql() -> str:
    """Returns accept.ENQUEUE for a text, with the parameters above."""
    assert [column.attribute for column in accept.given_columns() if column.attribute in GIVEN] == list(GIVEN)
    values = []
    for column in accept.given_columns():
        if column.attribute == "instance_id":
            values.append("numbered.instance_id")
        elif column.attribute in GIVEN:
            values.append(column.constant)
        else:
            values.append(bulk_insert.default_sql(column))
    return accept.enqueue_sql(
        f"number = %s::bigint AND token_digest = %s AND channel = ANY(%s) AND {CONNECTED_SQL}",
        values,
        "instance_id, queue_number",
    )


def as_array(names: Collection[str]) -> str:
    """Returns an array of plain names as PostgreSQL reads it. psycopg looks at each item of a list."""
    return f"{{{','.join(names)}}}"
