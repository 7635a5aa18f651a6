"""Clears the message queue of an instance."""

from typing import NamedTuple

from django.db import connection, transaction

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from instances.models import (
    WAITING_SQL,
    Instance,
    OutgoingMessage,
    OutgoingQueue,
    SendState,
)

EXAMPLES = 10  # texts of removed messages
EXAMPLE_LENGTH = 1_000  # characters of each


class Cleared(NamedTuple):
    """How many messages were removed, how many the messenger is just receiving, and the texts of the first removed."""

    removed: int
    in_delivery: int
    texts: list[str]


# A waiting message that no sender has in delivery: senders mark messages before their request (sending/claims.py).
REMOVABLE_SQL = f"{WAITING_SQL} AND state = '{SendState.QUEUED}'"
CLEAR = f"""
    DELETE FROM {OutgoingMessage._meta.db_table}
    WHERE instance_id = %s AND {REMOVABLE_SQL}
    RETURNING queue_number, left(body, %s)
"""


@transaction.atomic
def clear_messages(instance: Instance, *, acting_user: User | None = None) -> Cleared:
    """Remove the waiting messages. A message in delivery stays: it may have been sent, and must be recorded."""
    with connection.cursor() as cursor:
        cursor.execute(CLEAR, [instance.pk, EXAMPLE_LENGTH])
        removed = sorted(cursor.fetchall())
    OutgoingQueue.objects.filter(instance=instance).shorten(len(removed), removed=len(removed))
    left = OutgoingMessage.objects.waiting().filter(instance=instance, state=SendState.SENDING).count()
    if removed:
        audit.record(instance, AuditAction.QUEUE_CLEARED, acting_user=acting_user, messages=len(removed))
    return Cleared(len(removed), left, [text for _, text in removed[:EXAMPLES]])
