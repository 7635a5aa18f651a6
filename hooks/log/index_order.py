"""Finds the newest hooks of endpoints that match a filter, by reading each endpoint's index in its order.

An instance with a million hooks, beside 100 000 idle ones, is an endpoint with 20 hooks to the planner unless its
number is in the statistics: it then reads all of an endpoint's rows and sorts them (3 s). So sorting is switched off
for these queries, and a filter with several values (states, response classes) is one branch for each value: an index
has the order of keys for one value only. Each branch reads its first rows, and the branches are merged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL

from hooks.log.selection import RESPONSES, WITHOUT_RESPONSE, Filter, matching
from hooks.models import Hook, Kind, Outcome, ResponseClass, State

# Found by an index that has another order: their few rows are sorted.
SELECTIVE = {"message", "hooks", "chat"}
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


def execute_in_index_order(cursor: CursorWrapper, sql: str, parameters: Any) -> None:
    """Execute one statement with sorting switched off, in one round trip; fetch its rows as usual.

    With the statistics of a partition that was empty a minute ago, the planner would read all of an endpoint's rows.
    """
    cursor.execute(f"SET LOCAL enable_sort = off; {sql}; SET LOCAL enable_sort = on", parameters)
    cursor.nextset()


# Until the result of a first attempt is recorded, the row of a hook that is being sent says `queued` (see Lane); these
# conditions are those of in_states() in hooks/models/hooks.py, as bounds of an index scan. `wanted`: see newest_sql().
CURSOR = "(SELECT l.cursor FROM hooks_lane l WHERE l.endpoint_id = wanted.id"
CLAIMED = f'"hooks_hook"."id" <= {CURSOR} AND l.owner IS NOT NULL)'
NOT_CLAIMED = f'"hooks_hook"."id" > {CURSOR})'


def is_true(sql: str) -> RawSQL:
    return RawSQL(sql, (), output_field=BooleanField())


def of_state(state: str, states: Collection[str]) -> list[Q]:
    """Returns the conditions of one of these states: two for SENDING, one for each other."""
    if state == State.QUEUED and State.SENDING not in states:
        return [Q(is_true(NOT_CLAIMED), state=state)]
    if state == State.SENDING and State.QUEUED not in states:
        return [Q(state=state), Q(is_true(CLAIMED), state=State.QUEUED)]
    return [Q(state=state)]


def can_match(state: str, wanted: Filter) -> bool:
    """Returns False if no hook in this state has such a last attempt: its million rows need not be read."""
    if state == State.DELIVERED:
        answers, outcomes = wanted.get("answers", ["200"]), wanted.get("outcomes", [Outcome.OK])
        return (
            bool({"200", "2xx"} & set(answers))
            and Outcome.OK in outcomes
            and wanted.get("status", 200) == 200
        )
    if state == State.QUEUED:  # a first attempt
        return not wanted.keys() & {"answers", "outcomes", "status", "host"}
    return True


def parts_of_chat(chat: str) -> list[Q]:
    """Returns the conditions of one chat, each by an index: the id of a message contains the id of its chat.

    Changes of a chat have no message; the message of a simulated hook is what the user entered.
    """
    # The concatenation keeps the planner from hooks_hook_chat: that index has no order and covers all instances.
    of_chat = Q(RawSQL('"hooks_hook"."chat" || \'\' = %s', (chat,), output_field=BooleanField()))
    by_id = [Q(message__startswith=f"{direction}_{chat}_") for direction in ("true", "false")]
    changes = Q(kind=Kind.CHAT, message="")
    others = Q(simulated=True) & ~changes & ~by_id[0] & ~by_id[1]
    # the index has no empty ids, and PostgreSQL does not conclude that these are none
    return [of_chat & condition & ~Q(message="") for condition in by_id] + [
        of_chat & changes,
        of_chat & others,
    ]


def branches(wanted: Filter) -> tuple[Filter, list[tuple[Q, bool]]]:
    """Returns the rest of the filter, and conditions that exclude each other and together are what is missing of it.

    With each condition, whether it is on the state.
    """
    if "chat" in wanted:
        rest = {key: value for key, value in wanted.items() if key != "chat"}
        return rest, [(condition, False) for condition in parts_of_chat(wanted["chat"])]
    if "states" in wanted:
        states = [state for state in dict.fromkeys(wanted["states"]) if can_match(state, wanted)]
        rest = {key: value for key, value in wanted.items() if key != "states"}
        return rest, [(condition, True) for state in states for condition in of_state(state, states)]
    if "answers" in wanted:
        classes = [found for value in wanted["answers"] for found in RESPONSE_CLASSES[value]]
        return wanted, [(Q(last_answer=found), False) for found in dict.fromkeys(classes)]
    outcomes = set(wanted.get("outcomes", ()))
    if outcomes <= WITHOUT_RESPONSE or outcomes == {Outcome.REDIRECT}:
        pass  # the filter names the response class: any_outcome()
    elif Outcome.OK not in outcomes:
        return wanted, [(Q(state=state), True) for state in STATES_OF_FAILURES]
    kinds = set(wanted.get("kinds", ()))
    if len(kinds) > 1 and not outcomes and kinds <= {Kind.STATUS, Kind.CHAT}:
        return wanted, [(Q(kind=kind), False) for kind in sorted(kinds)]
    return wanted, [(Q(), False)]


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
    of_endpoint = is_true('"hooks_hook"."endpoint_id" = ANY (ARRAY[wanted.id])')
    rest, conditions = branches(wanted)
    found = matching(Hook.objects.filter(of_endpoint), rest)
    if narrowed is not None:
        found = found.filter(narrowed)
    parts: list[str] = []
    values: list[Any] = [list(endpoint_ids)]
    for condition, on_state in conditions:
        # hooks_hook_state is in ascending order of keys, the other indexes are in descending order
        endpoint = "-endpoint_id" if on_state == newest_first else "endpoint_id"
        ordered = found.filter(condition).order_by(endpoint, "-pk" if newest_first else "pk")
        try:
            sql, parameters = ordered.values_list("pk", *columns)[:limit].query.sql_with_params()
        except EmptyResultSet:  # such as a list of no hooks
            continue
        parts.append(f"({sql})")
        values += parameters
    if not parts:
        return newest_sql([], {}, limit=limit, columns=columns)
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
