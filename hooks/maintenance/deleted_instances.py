"""The hooks of deleted instances: hidden at once; their rows are deleted later, in small transactions.

A million of them takes minutes, which neither a request nor the locks of one transaction may last. So no constraint
ties a hook to its endpoint; code that reads hooks starts from instances or endpoints, and does not find these.
"""

from __future__ import annotations

from django.db import connection, transaction
from django_q.tasks import async_task

from hooks.maintenance.retention import BATCH, COUNT_DROPPED, query
from hooks.sql.lane_queries import lanes_cte

# Whose hooks are still there: one probe of the index an instance, however many hooks it has.
GONE = f"""
WITH RECURSIVE {lanes_cte()}
SELECT endpoint_id FROM lane
WHERE endpoint_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM hooks_endpoint e WHERE e.instance_id = lane.endpoint_id)
"""
# In whatever state. Locked first, so that the attempt of one that is under way is either seen or never written.
THEIRS = "SELECT id FROM hooks_hook WHERE endpoint_id = %s ORDER BY id LIMIT %s FOR UPDATE"


def ask_to_drop() -> None:
    """An endpoint is being deleted: its hooks go soon after this transaction, or by a schedule."""
    async_task("hooks.maintenance.deleted_instances.drop")


def drop() -> str:
    """Drop what deleted instances have left behind; in words, how much it was."""
    lanes = [row[0] for row in query(GONE, [])]
    return f"{sum(drop_hooks_of(lane) for lane in lanes)} hooks of {len(lanes)} deleted instances dropped"


def drop_hooks_of(key: int) -> int:
    """Delete the hooks of one instance with their attempts, in small transactions; how many there were."""
    dropped = 0
    while gone := drop_some(key):
        dropped += gone
    return dropped


@transaction.atomic
def drop_some(key: int) -> int:
    ids = [row[0] for row in query(THEIRS, [key, BATCH])]
    if ids:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM hooks_attempt WHERE hook_id = ANY(%s)", [ids])
            cursor.execute("DELETE FROM hooks_hook WHERE id = ANY(%s)", [ids])
            cursor.execute(COUNT_DROPPED, [len(ids), key])  # where the instance is still there
    return len(ids)
