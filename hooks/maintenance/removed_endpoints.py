"""Cancels what removed endpoints still have waiting, and deletes their rows when they have no hooks left.

A hook that was being sent when its endpoint was removed may wait for a retry afterwards.
"""

from __future__ import annotations

from functools import partial

from django.db import transaction

from hooks.actions.stopping import cancel_portion
from hooks.log import statistics
from hooks.maintenance.cancelling import BATCH, cancel_in_portions
from hooks.models import Endpoint, Hook


def clean() -> str:
    """Do this for all removed endpoints; returns a summary for the task's result. A schedule runs it too."""
    cancelled = deleted = 0
    for endpoint in Endpoint.objects.filter(removed_at__isnull=False).order_by("pk"):
        cancelled += sum(cancel_in_portions(partial(cancel_batch, endpoint.pk)))
        deleted += delete_without_hooks(endpoint)
    return f"{cancelled} hooks of removed endpoints cancelled, {deleted} removed endpoints deleted"


@transaction.atomic
def cancel_batch(key: int, after: int) -> list[int]:
    return cancel_portion(key, limit=BATCH, after=after)


@transaction.atomic
def delete_without_hooks(endpoint: Endpoint) -> bool:
    """Delete the endpoint, unless a hook of it is in the log; returns whether it was deleted.

    No hook is created for a removed endpoint (see remove_endpoint), so none is added meanwhile.
    """
    first = Endpoint.objects.select_for_update(no_key=True).filter(first_of=endpoint.instance_id).first()
    if first is None or Hook.objects.filter(endpoint=endpoint).exists():
        return False
    first.others = [key for key in first.others if key != endpoint.pk]
    first.save(update_fields=["others"])
    statistics.drop_of_endpoint(endpoint.pk)
    endpoint.delete()
    return True
