"""Finds the newest hooks of endpoints that match a filter, by reading each endpoint's index in its order.

An instance with a million hooks, beside 100 000 idle ones, is an endpoint with 20 hooks to the planner unless its
number is in the statistics: it then reads all of an endpoint's rows and sorts them (3 s). So sorting is switched off
for these queries, and a filter with several values (states, response classes, outcomes) reads the first rows of each
value, because an index has the order of keys for one value only; then they are merged. All values of a column are one
subquery: each is planned for every partition, which takes longer than to read the few rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from heapq import nlargest
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL

from hooks.log.selection import RESPONSES, Filter, matching
from hooks.models import Hook, HookQuerySet, Kind, Outcome, ResponseClass, State
from hooks.sql.lane_queries import newest_lane
from hooks.sql.partitions import first_id, today

# Found by an index that has another order: their few rows are sorted.
SELECTIVE = {"message", "hooks", "chat"}
RESPONSE_CLASSES: dict[str, tuple[ResponseClass, ...]] = {
    name: (ResponseClass.OK, ResponseClass.OTHER_2XX)
    if name == "2xx"
    else tuple(value for _, value in condition.children)  # type: ignore[misc]
    for name, (_, condition) in RESPONSES.items()
}


# Without the second, the planner may read all of an endpoint's rows and sort those of one value.
SWITCH_SORTING = "SET LOCAL enable_sort = {0}; SET LOCAL enable_incremental_sort = {0}"


@contextmanager
def in_index_order(wanted: Filter) -> Iterator[None]:
    """Switches sorting off for the queries in this block, unless the filter is selective by itself."""
    if wanted.keys() & SELECTIVE:
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(SWITCH_SORTING.format("off"))
        yield
        cursor.execute(SWITCH_SORTING.format("on"))  # the transaction may be the caller's


def execute_in_index_order(cursor: CursorWrapper, sql: str, parameters: Any) -> None:
    """Execute one statement with sorting switched off, in one round trip; fetch its rows as usual.

    With the statistics of a partition that was empty a minute ago, the planner would read all of an endpoint's rows.
    """
    cursor.execute(f"{SWITCH_SORTING.format('off')}; {sql}; {SWITCH_SORTING.format('on')}", parameters)
    cursor.nextset()
    cursor.nextset()


# Until the result of a first attempt is recorded, the row of a hook that is being sent says `queued` (see Lane); these
# conditions are those of in_states() in hooks/models/hooks.py, as bounds of an index scan. `wanted`: see newest_sql().
OF_OWNED = "CASE WHEN l.owner IS NOT NULL THEN l.cursor END"
CLAIMED = f'"hooks_hook"."id" <= ({newest_lane(OF_OWNED, "wanted.id")})'
NOT_CLAIMED = f'"hooks_hook"."id" > ({newest_lane("l.cursor", "wanted.id")})'


def is_true(sql: str) -> RawSQL:
    return RawSQL(sql, (), output_field=BooleanField())


# The columns of indexes with an entry per value, and what the partial ones contain.
IN_INDEX = {
    "state": Q(),
    "last_answer": ~Q(last_answer=""),
    "last_outcome": ~Q(last_outcome="") & ~Q(last_outcome=Outcome.OK),
    "kind": Q(kind__in=(Kind.STATUS, Kind.CHAT)),
}


@dataclass(frozen=True)
class Branch:
    """A condition, read in the order of an index: that of the log, or that of a column for each of these values."""

    condition: Q = Q()  # noqa: RUF009 - it is not changed
    column: str = ""
    values: tuple[str, ...] = ()

    def select(self, hooks: HookQuerySet, columns: Sequence[str], limit: int, *, newest_first: bool) -> Any:
        """Returns the SELECT of the first `limit` hooks of each value, with its parameters."""
        found = hooks.filter(self.condition)
        if len(self.values) == 1:
            found = found.filter(**{self.column: self.values[0]})
        elif self.values:
            of_value = is_true(f'"hooks_hook"."{self.column}" = ANY (ARRAY[one.value])')
            found = found.filter(IN_INDEX[self.column], of_value)
        in_column = [self.column] if len(self.values) > 1 else []
        if (
            self.column == "state"
        ):  # its index is in ascending order of keys, the others are in descending order
            order = [*in_column, "endpoint_id", "pk"]
            order = [f"-{name}" for name in order] if newest_first else order
        elif newest_first:
            order = ["endpoint_id", *in_column, "-pk"]
        else:
            order = ["-endpoint_id", *(f"-{name}" for name in in_column), "pk"]
        sql, parameters = found.order_by(*order).values_list("pk", *columns)[:limit].query.sql_with_params()
        if len(self.values) > 1:
            sql = f"SELECT of_value.* FROM unnest(%s::text[]) AS one (value) CROSS JOIN LATERAL ({sql}) AS of_value"
            return sql, [list(self.values), *parameters]
        return sql, list(parameters)


def of_values(column: str, values: Sequence[str]) -> list[Branch]:
    """Returns the branch of hooks with one of these values in the column; none for no value."""
    return [Branch(column=column, values=tuple(dict.fromkeys(map(str, values))))] if values else []


def of_states(states: Sequence[str]) -> list[Branch]:
    """Returns the branches of hooks in these states, with those of which the row says something else."""
    found: list[Branch] = []
    plain = list(states)
    if State.QUEUED in states and State.SENDING not in states:
        plain.remove(State.QUEUED)
        found.append(Branch(Q(is_true(NOT_CLAIMED)), "state", (State.QUEUED.value,)))
    elif State.SENDING in states and State.QUEUED not in states:
        found.append(Branch(Q(is_true(CLAIMED)), "state", (State.QUEUED.value,)))
    return of_values("state", plain) + found


def are_rare(kinds: Sequence[str]) -> bool:
    """Returns whether an index has these kinds of hooks."""
    return bool(kinds) and {Kind.STATUS, Kind.CHAT}.issuperset(kinds)


def has_narrower_index(states: Sequence[str], wanted: Filter) -> bool:
    """Returns whether the index of another part of the filter has fewer hooks to examine than that of these states.

    An endpoint's hooks may all be delivered, or all have failed with the same response, but few are simulated or of a
    rare kind, and few wait. So a host is the narrower part if delivered hooks match too, and a failure if failed ones
    do. Of a million delivered hooks, of which five had a host, the index of states took 18 s to find them.
    """
    if (State.QUEUED in states) != (State.SENDING in states):  # their rows do not tell which: see of_states()
        return False
    if wanted.get("simulated") or are_rare(wanted.get("kinds", ())):
        return True
    is_failure = (
        ("answers" in wanted and not {"200", "2xx"} & set(wanted["answers"]))
        or ("outcomes" in wanted and Outcome.OK not in wanted["outcomes"])
        or wanted.get("status", 200) != 200
    )
    return ("host" in wanted and State.DELIVERED in states) or (is_failure and State.FAILED in states)


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


def branches(wanted: Filter) -> tuple[Filter, list[Branch]]:
    """Returns the rest of the filter, and branches that exclude each other and together are what is missing of it."""
    if "chat" in wanted:
        rest = {key: value for key, value in wanted.items() if key != "chat"}
        return rest, [Branch(condition) for condition in parts_of_chat(wanted["chat"])]
    if "states" in wanted:
        states = [state for state in dict.fromkeys(wanted["states"]) if can_match(state, wanted)]
        if not has_narrower_index(states, wanted):
            return {key: value for key, value in wanted.items() if key != "states"}, of_states(states)
        wanted = wanted | {"states": states}
    if "answers" in wanted:
        classes = [found for value in wanted["answers"] for found in RESPONSE_CLASSES[value]]
        return wanted, of_values("last_answer", classes)
    if "outcomes" in wanted and Outcome.OK not in wanted["outcomes"]:
        return wanted, of_values("last_outcome", wanted["outcomes"])
    if are_rare(wanted.get("kinds", ())):
        return wanted, of_values("kind", wanted["kinds"])
    return wanted, [Branch()]


def newest_sql(
    endpoint_ids: Sequence[int],
    wanted: Filter,
    *,
    limit: int,
    columns: Sequence[str] = (),
    narrowed: Q | None = None,
    newest_first: bool = True,
    merged: bool = True,
) -> tuple[str, list[Any]]:
    """Returns a SELECT and its parameters: of each endpoint at most the newest `limit` matching hooks.

    Its columns are `endpoint_id`, `id` and `columns`; it is without an order over endpoints. `narrowed` is a condition
    in addition to the filter. Without `merged`, it is the newest `limit` of each value of a branch, and a LIMIT outside
    ends the reading early. Run it in in_index_order().
    """
    # `= ANY (ARRAY[…])` with the column in the order: see endpoint_numbers.
    of_endpoint = is_true('"hooks_hook"."endpoint_id" = ANY (ARRAY[wanted.id])')
    rest, found = branches(wanted)
    hooks = matching(Hook.objects.filter(of_endpoint), rest)
    if narrowed is not None:
        hooks = hooks.filter(narrowed)
    parts: list[str] = []
    values: list[Any] = [list(endpoint_ids)]
    for branch in found:
        try:
            sql, parameters = branch.select(hooks, columns, limit, newest_first=newest_first)
        except EmptyResultSet:  # such as a list of no hooks
            continue
        parts.append(f"({sql})")
        values += parameters
    if not parts:
        return newest_sql([], {}, limit=limit, columns=columns)
    names = ", ".join(("id", *columns))
    inner = " UNION ALL ".join(parts)
    if merged and (len(parts) > 1 or len(found[0].values) > 1):
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
    """Returns the keys of the newest matching hooks of all these endpoints together, in order.

    One query; two to four for more endpoints than hooks: the newest 51 hooks are of the 51 endpoints whose newest
    hooks are the newest. Without this, 51 hooks of each of 1 000 endpoints are read: 116 ms instead of 35 for a
    frequent kind. They are looked for since yesterday first, in two partitions; if these have too few, in every one.
    """
    if newest_first and limit < len(endpoint_ids) and not wanted.keys() & SELECTIVE:
        recent = Q(pk__gte=first_id(today() - timedelta(days=1))) & (narrowed or Q())
        newest = newest_key_of_each(endpoint_ids, wanted, narrowed=recent)
        if len(newest) < limit:  # few endpoints, which may have enough hooks
            keys = newest_keys(list(newest), wanted, limit=limit, narrowed=recent)
            if len(keys) == limit:
                return keys
            newest = newest_key_of_each(endpoint_ids, wanted, narrowed=narrowed)
        else:
            narrowed = recent
        endpoint_ids = nlargest(limit, newest, key=lambda endpoint_id: newest[endpoint_id])
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
