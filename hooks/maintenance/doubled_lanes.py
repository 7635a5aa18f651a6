"""Finds and removes second lanes of endpoints.

The trigger hooks_lane_is_first refuses them, but `pg_restore --disable-triggers` does not run it. Two dispatchers would
send the hooks of such an endpoint, each in the order of its own lane.
"""

from __future__ import annotations

from django.db import connection, transaction

DOUBLED = "SELECT endpoint_id FROM hooks_lane GROUP BY endpoint_id HAVING count(*) > 1 ORDER BY endpoint_id"
LOCK = "SELECT FROM hooks_lane WHERE endpoint_id = ANY(%s) ORDER BY endpoint_id, period FOR UPDATE"
# The newest lane is the one that dispatchers find first; see lane_queries.newest_lane().
REMOVE = """
DELETE FROM hooks_lane l USING hooks_lane kept
WHERE l.endpoint_id = ANY(%s) AND kept.endpoint_id = l.endpoint_id AND kept.period > l.period
"""
# With the cursor at 0, what is queued is claimed again: it is unknown which hooks each of the owners has sent.
FREE = "UPDATE hooks_lane SET owner = NULL, until = NULL, cursor = 0 WHERE endpoint_id = ANY(%s)"


def doubled_lanes() -> list[int]:
    """Returns the keys of the endpoints with more than one lane. One query, which reads all lanes."""
    with connection.cursor() as cursor:
        cursor.execute(DOUBLED)
        return [key for (key,) in cursor.fetchall()]


@transaction.atomic
def remove_doubled_lanes() -> list[int]:
    """Leave one lane to each endpoint that has several, without an owner; returns the keys of these endpoints.

    Hooks that are being sent meanwhile are sent again.
    """
    found = doubled_lanes()
    if found:
        with connection.cursor() as cursor:
            for statement in (LOCK, REMOVE, FREE):
                cursor.execute(statement, [found])
    return found
