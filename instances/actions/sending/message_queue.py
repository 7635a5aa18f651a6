"""Emptying the queue of messages."""

from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from instances.models import DELIVERY_DEADLINE, Instance, OutgoingMessage, OutgoingQueue

EXAMPLES = 10  # of what was thrown away
EXAMPLE_LENGTH = 1_000  # characters of each


class Cleared(NamedTuple):
    """How many messages are gone, how many are with the messenger at this moment, and texts of the first ones."""

    gone: int
    in_hand: int
    texts: list[str]


CLEAR = """
    DELETE FROM {table} WHERE instance_id = %s AND (last_try_at IS NULL OR last_try_at < %s)
    RETURNING queue_number, left(body, %s)
"""


@transaction.atomic
def clear_messages(instance: Instance, *, acting_user: User | None = None) -> Cleared:
    """Throws away what waits. What the messenger has in hand stays: it may have gone out, and must be recorded.

    A sender marks what it takes (sending/outgoing.py) before the messenger gets it; one that has died gives its
    messages free after DELIVERY_DEADLINE.
    """
    since = timezone.now() - DELIVERY_DEADLINE
    with connection.cursor() as cursor:
        cursor.execute(
            CLEAR.format(table=OutgoingMessage._meta.db_table), [instance.pk, since, EXAMPLE_LENGTH]
        )
        gone = sorted(cursor.fetchall())
    # after the rows, as record_sent does, so that two who empty a queue never wait for each other
    OutgoingQueue.objects.filter(instance=instance).update(length=F("length") - len(gone))
    left = OutgoingMessage.objects.filter(instance=instance, last_try_at__gte=since).count()
    return Cleared(len(gone), left, [text for _, text in gone[:EXAMPLES]])


def empty(instance: Instance) -> None:
    """Throws away all that waits, also what the messenger has in hand; for the end of all that the instance has.

    The length falls by what has gone, and is not set to 0: a message may be accepted at this very moment, and would
    wait for ever in a queue that is said to be empty.
    """
    table = OutgoingMessage._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE instance_id = %s", [instance.pk])
        gone = cursor.rowcount
    OutgoingQueue.objects.filter(instance=instance).update(length=F("length") - gone)
