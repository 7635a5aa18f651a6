"""Where the rows of lanes are in their table (ctid), in the memory of the dispatcher that owns them.

Each claim changes its lane's row, and PostgreSQL keeps the version before until vacuum or the next reader of its page
removes it. While an old transaction is open, such as a long pg_dump, none is removed, and a look-up by the primary key
reads all of them. A look-up by place reads one page, however many versions there are.

A place may be wrong at any time: another session has changed the row, or vacuum has given the place to another row. So
a statement that looks at places also compares the endpoint. It then finds the current version of the row or nothing,
and what it did not find is looked up by its key.
"""

from __future__ import annotations

# The endpoint's id → the place; 0.2 KB each. The claimer's thread writes, the recorder's reads.
Places = dict[int, str]


def is_at_sql(lane: str, places: str) -> str:
    """SQL condition: the row `lane` of hooks_lane is at one of the places, which are a parameter.

    Write `endpoint_id + 0` for its key in the same statement: with the statistics of a small table, the planner would
    read the whole index of the key instead of the places.
    """
    return f"{lane}.ctid = ANY({places}::text[]::tid[])"
