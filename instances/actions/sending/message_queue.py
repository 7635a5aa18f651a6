"""Clears the message queue of an instance."""

from typing import NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from instances.models import DELIVERY_DEADLINE, Instance, OutgoingMessage, OutgoingQueue

EXAMPLES = 10  # texts of removed messages
EXAMPLE_LENGTH = 1_000  # characters of each


class Cleared(NamedTuple):
    """How many messages were removed, how many the messenger is just receiving, and the texts of the first removed."""

    removed: int
    in_delivery: int
    texts: list[str]


CLEAR = """
    DELETE FROM {table} WHERE instance_id = %s AND (last_try_at IS NULL OR last_try_at < %s)
    RETURNING queue_number, left(body, %s)
"""


@transaction.atomic
def clear_messages(instance: Instance, *, acting_user: User | None = None) -> Cleared:
    """Remove the waiting messages. A message in delivery stays: it may have been sent, and must be recorded.

    A sender marks messages before it passes them to the messenger (sending/outgoing.py). Those of a sender that died
    can be removed after DELIVERY_DEADLINE.
    """
    since = timezone.now() - DELIVERY_DEADLINE
    with connection.cursor() as cursor:
        cursor.execute(
            CLEAR.format(table=OutgoingMessage._meta.db_table), [instance.pk, since, EXAMPLE_LENGTH]
        )
        removed = sorted(cursor.fetchall())
    OutgoingQueue.objects.filter(instance=instance).shorten(len(removed))
    left = OutgoingMessage.objects.filter(instance=instance, last_try_at__gte=since).count()
    if removed:
        audit.record(instance, AuditAction.QUEUE_CLEARED, acting_user=acting_user, messages=len(removed))
    return Cleared(len(removed), left, [text for _, text in removed[:EXAMPLES]])


def empty(instance: Instance) -> None:
    """Remove all messages, also those in delivery, when all data of the instance is deleted."""
    table = OutgoingMessage._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE instance_id = %s", [instance.pk])
        removed = cursor.rowcount
    OutgoingQueue.objects.filter(instance=instance).shorten(removed)
