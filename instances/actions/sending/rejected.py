"""Messages that the messenger will never take."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import F

from instances.actions.sending.accept import leave
from instances.models import Instance, OutgoingMessage, OutgoingQueue


@transaction.atomic
def give_up(instance: Instance, refused: Sequence[OutgoingMessage]) -> int:
    """Takes them out of the queue, so that those behind them can go; returns how many were still in it."""
    gone = len(leave(refused))
    OutgoingQueue.objects.filter(instance=instance).update(length=F("length") - gone)
    return gone
