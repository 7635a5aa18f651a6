"""Removes messages that the messenger rejects."""

from collections.abc import Sequence

from django.db import transaction

from instances.actions.sending.accept import remove_from_queue
from instances.models import Instance, OutgoingMessage, OutgoingQueue


@transaction.atomic
def remove_rejected(instance: Instance, *, rejected: Sequence[OutgoingMessage]) -> int:
    """Remove these messages from the queue, so that it continues; returns how many were still in it."""
    removed = len(remove_from_queue(rejected))
    OutgoingQueue.objects.filter(instance=instance).shorten(removed, removed=removed)
    return removed
