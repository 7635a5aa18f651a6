"""Deletes the hooks of deleted instances in the background, in small transactions.

A million hooks take minutes, too long for a request or for the locks of one transaction. So no foreign key constraint
joins a hook to its endpoint. The hooks are hidden immediately: code that reads hooks starts from instances or
endpoints.
"""

from __future__ import annotations

import math
import time

from django.db import connection, transaction
from django_q.tasks import async_task

from hooks.log import statistics
from hooks.maintenance.retention import BATCH, COUNT_DROPPED, query
from hooks.models import Redelivery
from hooks.sql import partitions
from hooks.sql.lane_queries import lanes_cte

RUN_SECONDS = 600.0  # a run ends after this, and queues the next one

# The deleted instances that still have hooks. One index probe per instance, however many hooks it has.
LANES_OF_DELETED = f"""
WITH RECURSIVE {lanes_cte()}
SELECT endpoint_id FROM lane
WHERE endpoint_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM hooks_endpoint e WHERE e.id = lane.endpoint_id)
"""
# Hooks in any state. The lock comes first: the attempt of a hook being sent is written before it and deleted below, or
# it finds no hook and is not written. Hooks that a dispatcher records at this moment are left for the next run: waiting
# for them could be a deadlock, because it locks several in another order.
LOCK_HOOKS = "SELECT id FROM hooks_hook WHERE endpoint_id = %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED"


def schedule_drop() -> None:
    """Queue drop() in the transaction that deletes an endpoint. A schedule runs it too."""
    async_task("hooks.maintenance.deleted_instances.drop")


def drop(seconds: float = RUN_SECONDS) -> str:
    """Delete the hooks of deleted instances for at most `seconds`; returns a summary for the task's result."""
    ends = time.monotonic() + seconds
    lanes = [row[0] for row in query(LANES_OF_DELETED, [])]
    dropped = 0
    for number, lane in enumerate(lanes, start=1):
        dropped += drop_hooks_of(lane, ends)
        if time.monotonic() >= ends:
            schedule_drop()
            return f"{dropped} hooks of {number} deleted instances dropped, more may be left"
    # A job without a part is about deleted instances only. Its filter may contain phone numbers and words of messages.
    Redelivery.objects.filter(parts=None).delete()
    return f"{dropped} hooks of {len(lanes)} deleted instances dropped"


def drop_hooks_of(key: int, ends: float = math.inf) -> int:
    """Delete the hooks of one instance and their attempts, in small transactions; returns the number of hooks.

    Stops after the transaction in which time.monotonic() reaches `ends`.
    """
    dropped = 0
    while deleted := drop_batch(key):
        dropped += deleted
        if time.monotonic() >= ends:
            return dropped
    statistics.drop_of_endpoint(key)
    return dropped


@transaction.atomic
def drop_batch(key: int) -> int:
    """Delete up to BATCH hooks of one instance; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(partitions.WAIT_FOR_DROP)
    ids = [row[0] for row in query(LOCK_HOOKS, [key, BATCH])]
    if ids:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM hooks_attempt WHERE hook_id = ANY(%s)", [ids])
            cursor.execute("DELETE FROM hooks_hook WHERE id = ANY(%s)", [ids])
            # changes a row only if the instance still exists, as in instances/actions/load_test.py
            cursor.execute(COUNT_DROPPED, [len(ids), key])
    return len(ids)
