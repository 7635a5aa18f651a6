"""Finds the newest hooks of endpoints that match a filter, by reading each endpoint's index in its order.

An instance with a million hooks, beside 100 000 idle ones, is an endpoint with 20 hooks to the planner unless its
number is in the statistics: it then reads all of an endpoint's rows and sorts them (3 s). So sorting is switched off
for these queries, and a filter with several values (states, response classes) is one branch for each value: an index
has the order of keys for one value only. Each branch reads its first rows, and the branches are merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL

from hooks.log.selection import RESPONSES, Filter, matching
from hooks.models import Hook, Kind, Outcome, ResponseClass, State

# Found by an index that has another order: their few rows are sorted.
SELECTIVE = {"message", "hooks"}
RESPONSE_CLASSES: dict[str, tuple[ResponseClass, ...]] = {
    name: (ResponseClass.OK, ResponseClass.OTHER_2XX)
    if name == "2xx"
    else tuple(value for _, value in condition.children)  # type: ignore[misc]
    for name, (_, condition) in RESPONSES.items()
}
# A hook whose last attempt failed is in none of the other states.
STATES_OF_FAILURES = [State.FAILED, State.RETRYING, State.SENDING, State.SKIPPED, State.CANCELLED]


@contextmanager
def in_index_order(wanted: Filter) -> Iterator[None]:
    """Switches sorting off for the queries in this block, unless the filter is selective by itself."""
    if wanted.keys() & SELECTIVE:
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")
        yield
        cursor.execute("SET LOCAL enable_sort = on")  # the transaction may be the caller's


def branches(wanted: Filter) -> list[tuple[Q, bool]]:
    """Returns conditions that exclude each other and together are the filter's; with each, whether it is on the state.

    Apply them in addition to the filter.
    """
    if "states" in wanted:
        return [(Q(state=state), True) for state in dict.fromkeys(wanted["states"])]
    if "answers" in wanted:
        classes = [found for value in wanted["answers"] for found in RESPONSE_CLASSES[value]]
        return [(Q(last_answer=found), False) for found in dict.fromkeys(classes)]
    if "outcomes" in wanted and Outcome.OK not in wanted["outcomes"]:
        return [(Q(state=state), True) for state in STATES_OF_FAILURES]
    kinds = set(wanted.get("kinds", ()))
    if len(kinds) > 1 and kinds <= {Kind.STATUS, Kind.CHAT}:
        return [(Q(kind=kind), False) for kind in sorted(kinds)]
    return [(Q(), False)]


def newest_sql(
    endpoint_ids: Sequence[int],
    wanted: Filter,
    *,
    limit: int,
    columns: Sequence[str] = (),
    narrowed: Q | None = None,
    newest_first: bool = True,
) -> tuple[str, list[Any]]:
    """Returns a SELECT and its parameters: of each endpoint at most the newest `limit` matching hooks.

    Its columns are `endpoint_id`, `id` and `columns`; it is without an order over endpoints. `narrowed` is a condition
    in addition to the filter. Run it in in_index_order().
    """
    # `= ANY (ARRAY[…])` with the column in the order: see endpoint_numbers.
    of_endpoint = RawSQL(
        '"hooks_hook"."endpoint_id" = ANY (ARRAY[wanted.id])', (), output_field=BooleanField()
    )
    found = matching(Hook.objects.filter(of_endpoint), wanted)
    if narrowed is not None:
        found = found.filter(narrowed)
    parts: list[str] = []
    values: list[Any] = [list(endpoint_ids)]
    for condition, on_state in branches(wanted):
        # hooks_hook_state is in ascending order of keys, the other indexes are in descending order
        endpoint = "-endpoint_id" if on_state == newest_first else "endpoint_id"
        ordered = found.filter(condition).order_by(endpoint, "-pk" if newest_first else "pk")
        sql, parameters = ordered.values_list("pk", *columns)[:limit].query.sql_with_params()
        parts.append(f"({sql})")
        values += parameters
    names = ", ".join(("id", *columns))
    inner = " UNION ALL ".join(parts)
    if len(parts) > 1:
        direction = "DESC" if newest_first else "ASC"
        inner = f"SELECT * FROM ({inner}) AS branch ({names}) ORDER BY id {direction} LIMIT %s"
        values.append(limit)
    of_each = f"CROSS JOIN LATERAL ({inner}) AS found ({names})"
    return (
        f"SELECT wanted.id AS endpoint_id, found.* FROM unnest(%s::bigint[]) AS wanted (id) {of_each}",
        values,
    )


def newest_keys(
    endpoint_ids: Sequence[int],
    wanted: Filter,
    *,
    limit: int,
    narrowed: Q | None = None,
    newest_first: bool = True,
) -> list[int]:
    """Returns the keys of the newest matching hooks of all these endpoints together, in order. One query."""
    sql, values = newest_sql(endpoint_ids, wanted, limit=limit, narrowed=narrowed, newest_first=newest_first)
    direction = "DESC" if newest_first else "ASC"
    with in_index_order(wanted), connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM ({sql}) AS newest ORDER BY id {direction} LIMIT %s", [*values, limit])
        return [row[0] for row in cursor.fetchall()]


def newest_key_of_each(
    endpoint_ids: Sequence[int], wanted: Filter, *, narrowed: Q | None = None
) -> dict[int, int]:
    """Returns for each endpoint with a matching hook the key of its newest. One query."""
    sql, values = newest_sql(endpoint_ids, wanted, limit=1, narrowed=narrowed)
    with in_index_order(wanted), connection.cursor() as cursor:
        cursor.execute(f"SELECT endpoint_id, id FROM ({sql}) AS newest", values)
        return dict(cursor.fetchall())
