"""The number of an instance's newest message, read from the messages: no message changes its instance's row.

PostgreSQL keeps the former versions of a changed row while a transaction that is older than they are stays open, such
as a pg_dump, and each message would read all of them: 3,153 pages after 8,000 messages of each of four chats.

`Instance.stored_message_number` is the number up to which messages may have been deleted. The next one is given by a
transaction that has locked the instance's row; it sees all messages that are committed before it got the lock.
"""

from __future__ import annotations

from django.db import connection

from chatapi.database import prepared
from instances import fast_lookup
from instances.models import Instance

# SQL of the newest number of an instance, by its key and its stored number. The function reads what is committed by
# now: a statement that has waited for the lock itself sees what was committed before it waited.
LAST = "instances_last_number({key}, {stored})"
LOCK = (
    f'WITH locked AS MATERIALIZED (SELECT {fast_lookup.COLUMNS} FROM "{fast_lookup.TABLE}" WHERE id = %s::bigint'
    f" FOR NO KEY UPDATE) SELECT locked.*, {LAST.format(key='id', stored='last_message_number')} FROM locked"
)
LAST_OF_MANY = (
    f"SELECT key, {LAST.format(key='key', stored='stored')}"
    " FROM unnest(%s::bigint[], %s::int[]) AS u (key, stored)"
)


def lock(instance: Instance) -> int:
    """Lock the instance's row, reload it, and return the number of its newest message. One statement.

    Raises Instance.DoesNotExist: the instance was deleted in the meantime.
    """
    row = prepared.fetch_one(LOCK, [instance.pk])
    fast_lookup.copy_to(instance, None if row is None else fast_lookup.ROW.build(row[:-1]))
    assert row is not None
    return int(row[-1])


def last_numbers(instances: list[Instance]) -> dict[int, int]:
    """Returns the number of each instance's newest message, by its key. The caller holds the locks on their rows."""
    keys, stored = [one.pk for one in instances], [one.stored_message_number for one in instances]
    with connection.cursor() as cursor:
        cursor.execute(LAST_OF_MANY, [keys, stored])
        return dict(cursor.fetchall())
