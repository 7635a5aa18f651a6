"""Cancels waiting hooks in the background, in small transactions.

A million hooks take minutes, too long for a request and for the lock on their lane. The request records up to which
hook the waiting ones are being cancelled (Endpoint.cancel_up_to). Until they are, dispatchers claim nothing of the
endpoint (destination.is_open_sql): a hook that a user has cancelled must not be sent. After a kill, the next run
continues: a schedule runs it each minute.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

from django.db import transaction

from hooks.actions.stopping import cancel_portion, schedule_cancelling
from hooks.models import Endpoint
from hooks.models.endpoints import EndpointQuerySet
from hooks.outbox import wake

BATCH = 2_000  # hooks cancelled by one transaction
# A run ends after this, and queues the next one. No clean-up task, of which one runs at a time: the endpoint waits.
RUN_SECONDS = 50.0


def cancel(seconds: float = RUN_SECONDS) -> str:
    """Cancel what is recorded, for at most `seconds`; returns a summary for the task's result.

    Endpoints take turns: nothing is sent to one until its hooks are cancelled, however many another one has.
    """
    ends = time.monotonic() + seconds
    cancelled = 0
    turns = deque(cancel_of_endpoint(key) for key in recorded().values_list("pk", flat=True))
    while turns:
        portion = next(turns[0], None)
        if portion is None:
            turns.popleft()
            continue
        turns.rotate(-1)
        cancelled += portion
        if time.monotonic() > ends:
            schedule_cancelling()
            return f"{cancelled} waiting hooks cancelled, more may be left"
    return f"{cancelled} waiting hooks cancelled"


def cancel_of_instance(instance_id: int) -> int:
    """Cancel what is recorded for an instance, without a limit of time; returns how many hooks were cancelled."""
    return sum(sum(cancel_of_endpoint(row.pk)) for row in recorded().filter(instance=instance_id))


def recorded() -> EndpointQuerySet:
    return Endpoint.objects.filter(cancel_up_to__isnull=False).order_by("pk")


def cancel_of_endpoint(key: int) -> Iterator[int]:
    """Returns an iterator that cancels what is recorded for one endpoint; see cancel_in_portions()."""
    return cancel_in_portions(partial(cancel_batch, key))


def cancel_in_portions(cancel_portion_after: Callable[[int], list[int]]) -> Iterator[int]:
    """Cancel portions until none is left; yields the number of hooks after each.

    `cancel_portion_after` cancels some waiting hooks with keys above a number, and returns their keys. Each portion
    begins after the last one, so that it does not read all cancelled hooks again. When none is left there, a hook that
    was handed back meanwhile may be before it. After each it sleeps as long as it worked, which leaves half of the
    disk's time to others.
    """
    after = 0
    while True:
        began = time.monotonic()
        keys = cancel_portion_after(after)
        if not keys and not after:
            return
        after = keys[-1] if keys else 0
        time.sleep(min(time.monotonic() - began, 1.0))
        yield len(keys)


@transaction.atomic
def cancel_batch(key: int, after: int) -> list[int]:
    """Cancel up to BATCH waiting hooks with keys above `after`; returns their keys.

    If there is none, and `after` is 0, dispatchers may claim the endpoint's hooks again.
    """
    endpoint = recorded().filter(pk=key).first()
    if endpoint is None:
        return []
    keys = cancel_portion(key, limit=BATCH, after=after, up_to=endpoint.cancel_up_to)
    # A later request may have recorded more.
    is_done = not keys and not after
    if is_done and recorded().filter(pk=key, cancel_up_to=endpoint.cancel_up_to).update(cancel_up_to=None):
        wake(key)
    return keys
