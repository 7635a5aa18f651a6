"""Finds the dead dispatchers that own lanes, without reading the lanes.

Each claim of a free lane leaves an entry in the index of owners. While an old transaction is open, vacuum removes none,
and a look at all owners reads the row of each entry. So the dead are found among the runs of dispatchers, and only
the entries of those that have died since the last look are read.
"""

from __future__ import annotations

from typing import Any

import psycopg

from hooks import worker_slots
from hooks.models import Role

DEAD_RUNS = (
    f"SELECT id FROM hooks_runner WHERE role = '{Role.DISPATCH.value}' AND {worker_slots.is_dead_sql('id')}"
)
# The order leaves only the index of owners.
WITH_LANES = (
    "SELECT DISTINCT owner FROM hooks_lane WHERE owner = ANY(%s) AND owner IS NOT NULL ORDER BY owner"
)


class DeadDispatchers:
    """The dead runs whose lanes are free, in the memory of one dispatcher."""

    def __init__(self) -> None:
        self.without_lanes: set[int] = set()

    def find(self, session: psycopg.Connection[Any]) -> list[int]:
        """Returns the dead dispatchers that own lanes. One query, and another one if a run has died.

        A run that hangs, or of which no row is left, is found by claim.DEAD_OWNERS only.
        """
        dead = {row[0] for row in session.execute(DEAD_RUNS).fetchall()}
        self.without_lanes &= dead  # a run that has acquired its lock again may own lanes
        wanted = dead - self.without_lanes
        if not wanted:
            return []
        found = [row[0] for row in session.execute(WITH_LANES, [sorted(wanted)]).fetchall()]
        self.without_lanes |= wanted - set(found)
        return found
