"""Creates hooks in the caller's transaction, so an event and its hooks are stored together or not at all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from chatapi.database import prepared
from hooks.filters import matches
from hooks.models import Endpoint, Hook, Kind, SkipReason, State, Trigger
from hooks.models.choices import GUARANTEED_ATTEMPTS
from hooks.models.hooks import new_public_id
from hooks.urls import destination
from hooks.wakeups import notify_after_commit

CHANNEL = "hooks"  # the PostgreSQL channel on which dispatchers listen; the payload is the lane

AT = "%(at)s::timestamptz"
# Whether the endpoint's row alone says what to create: it is its instance's only one, every event matches, and an event
# has one hook there.
IS_SIMPLE = f"""e.others = '{{}}' AND e.families = '{{}}' AND e.direction = '' AND e.message_types = '{{}}'
    AND e.chat_ids = '{{}}' AND e.chat_kinds = '' AND NOT coalesce({destination.own_url_as_well_sql(now=AT)}, false)"""
# The events as a table. Bodies are in hexadecimal digits, because JSON has no bytes.
EVENTS = """json_to_recordset(CAST(%(events)s AS json)) AS n (
    place int, endpoint bigint, public_id uuid, kind text, body text, message text, chat text, skip text, to_url text
)"""
HAS_NO_URL = f"{destination.endpoint_url_sql(now=AT)} = ''"


# The columns of EVENTS n that a hook is made of.
EVENT = {
    "public_id": "n.public_id",
    "kind": "n.kind",
    "body": "decode(n.body, 'hex')",
    "message": "n.message",
    "chat": "n.chat",
    "skip": "n.skip",
    "to_url": "n.to_url",
}


def insert_sql(
    source: str,
    event: Mapping[str, str] = EVENT,
    *,
    has_no_url: str = HAS_NO_URL,
    order: str = "ORDER BY n.place",
) -> str:
    """SQL that inserts the hooks of the events in `source` for its endpoints e, in order. Returns the new rows.

    `event` has the expressions for the columns of EVENT.
    """
    skipped = f"{event['skip']} <> '' OR {has_no_url}"
    return f"""
    INSERT INTO hooks_hook (
        public_id, endpoint_id, kind, body, message, chat, to_url, created_at, finished_at, state, skip_reason,
        attempts_allowed, simulated, trigger, attempts_made, claim, last_outcome, last_host)
    SELECT
        {event["public_id"]}, e.id, {event["kind"]}, {event["body"]}, {event["message"]}, {event["chat"]},
        {event["to_url"]}, {AT},
        CASE WHEN {skipped} THEN {AT} END,
        CASE WHEN {skipped} THEN '{State.SKIPPED}' ELSE '{State.QUEUED}' END,
        CASE WHEN {event["skip"]} = '' AND {has_no_url} THEN '{SkipReason.NO_ADDRESS}' ELSE {event["skip"]} END,
        CASE WHEN e.guaranteed THEN {GUARANTEED_ATTEMPTS} ELSE 1 END, false, '{Trigger.EVENT}', 0, 0, '', ''
    FROM {source} {order}
    RETURNING id, endpoint_id, state"""


OF_ENDPOINT = f"e.id, e.url, e.borrowed_url, e.borrowed_until, e.guaranteed, {IS_SIMPLE} AS is_simple"
# Locks the tally; if the endpoint is simple, counts and inserts the hooks. One row without a hook's id if it is not.
EMIT = f"""
WITH e AS MATERIALIZED (
    SELECT {OF_ENDPOINT} FROM hooks_tally t JOIN hooks_endpoint e ON e.id = t.endpoint_id
    WHERE t.endpoint_id = %(endpoint)s::bigint FOR NO KEY UPDATE OF t
), counted AS (
    INSERT INTO hooks_emittedcount (endpoint_id, emitted, skipped)
    SELECT e.id, %(number)s::int, CASE WHEN {HAS_NO_URL} THEN %(number)s::int ELSE %(skipped)s::int END
    FROM e WHERE e.is_simple
), created AS ({insert_sql(f"e, {EVENTS} WHERE e.is_simple")}
)
SELECT created.id, e.id, created.state FROM e LEFT JOIN created ON true ORDER BY created.id
"""
# The same for many instances. Tallies are locked in the order of their ids, as by all who lock several.
EMIT_MANY = f"""
WITH n AS MATERIALIZED (
    SELECT * FROM {EVENTS}
), wanted AS (
    SELECT endpoint, count(*)::int AS number, count(*) FILTER (WHERE skip <> '')::int AS skipped
    FROM n GROUP BY endpoint
), locked AS MATERIALIZED (
    SELECT t.endpoint_id, w.number, w.skipped FROM hooks_tally t JOIN wanted w ON t.endpoint_id = w.endpoint
    ORDER BY t.endpoint_id FOR NO KEY UPDATE OF t
), e AS MATERIALIZED (
    SELECT l.number, l.skipped, {OF_ENDPOINT} FROM locked l JOIN hooks_endpoint e ON e.id = l.endpoint_id
), counted AS (
    INSERT INTO hooks_emittedcount (endpoint_id, emitted, skipped)
    SELECT e.id, e.number, CASE WHEN {HAS_NO_URL} THEN e.number ELSE e.skipped END FROM e WHERE e.is_simple
), created AS ({insert_sql("e JOIN n ON n.endpoint = e.id AND e.is_simple")}
)
SELECT created.id, e.id, created.state FROM e LEFT JOIN created ON created.endpoint_id = e.id ORDER BY created.id
"""
# For endpoints that are not simple: each event says for which endpoint it is.
INSERT = insert_sql(f"{EVENTS} JOIN hooks_endpoint e ON e.id = n.endpoint")
# Rows are locked in the order of their ids, as by all who lock several.
COUNT = """
WITH locked AS MATERIALIZED (
    SELECT t.endpoint_id, u.emitted, u.skipped
    FROM hooks_tally t
    JOIN unnest(%s::bigint[], %s::int[], %s::int[]) AS u (id, emitted, skipped) ON t.endpoint_id = u.id
    ORDER BY t.endpoint_id FOR NO KEY UPDATE OF t
)
INSERT INTO hooks_emittedcount (endpoint_id, emitted, skipped)
SELECT endpoint_id, emitted, skipped FROM locked
RETURNING endpoint_id
"""


# What emit_one_sql() needs of the endpoint `e`, and its row that must be locked as `t`, after that of the instance.
ONE_EVENT_COLUMNS = f"e.guaranteed, {HAS_NO_URL} AS has_no_url"
JOIN_TALLY = "JOIN hooks_tally t ON t.endpoint_id = e.id"
# The event of emit_one_sql(), and whether its hook is queued; without its bytes.
ONE_EVENT = {name: f"%({name})s::text" for name in ("kind", "message", "chat", "skip")} | {
    "public_id": "%(public_id)s::uuid",
    "body": "e.body",
    "to_url": "''",
}
ONE_IS_QUEUED = f"NOT ({ONE_EVENT['skip']} <> '' OR e.has_no_url)"


def emit_one_sql(event: str) -> str:
    """SQL of CTEs that count and create one hook, in the statement that writes its event and has locked the tally.

    `event` is a CTE of that statement with one row: the `id` and the ONE_EVENT_COLUMNS of the endpoint, for which
    IS_SIMPLE is true, and the bytes of the hook's `body`. If it has no row, no hook is created. The parameters are
    those of one_event_parameters().

    The statement that locks the instance locks the tally too, and nothing is sorted or joined for one event: that is
    0.94 of PostgreSQL's CPU for a contact's message.
    """
    return f"""counted AS (
    INSERT INTO hooks_emittedcount (endpoint_id, emitted, skipped)
    SELECT e.id, 1, CASE WHEN {ONE_IS_QUEUED} THEN 0 ELSE 1 END FROM {event} e
), created AS ({insert_sql(f"{event} e", ONE_EVENT, has_no_url="e.has_no_url", order="")}
)"""


def one_event_parameters(
    *, kind: Kind, message: str, chat: str, skip: SkipReason | None, now: datetime
) -> dict[str, Any]:
    """Returns the parameters of emit_one_sql(), which are those of an Event without its body."""
    return {
        "at": now,
        "public_id": new_public_id(),
        "kind": kind,
        "message": message,
        "chat": chat,
        "skip": skip or "",
    }


# What emit_all() returns of a hook, in the order of the columns above; other fields are read when they are used.
RETURNED = ["id", "endpoint_id", "state"]


class Event(NamedTuple):
    """A hook to create: its exact bytes (UTF-8), its message and chat, the reason to skip it, and what filters read."""

    kind: Kind
    body: bytes
    message: str = ""
    chat: str = ""
    skip: SkipReason | None = None
    direction: str = ""  # of Direction
    message_type: str = ""
    chat_kind: str = ""  # of ChatKind


def emit(
    *,
    instance_id: int,
    kind: Kind,
    body: bytes,
    message: str = "",
    chat: str = "",
    skip: SkipReason | None = None,
) -> Hook:
    """Create the hooks of one event that no filter excludes; returns the first. See emit_all()."""
    return emit_all(instance_id, [Event(kind, body, message, chat, skip)])[0]


def emit_all(instance_id: int, events: Sequence[Event]) -> list[Hook]:
    """Create the hooks of these events, in order; returns them.

    An event has one hook for each endpoint of the instance whose filters it matches (hooks/filters.py). If `skip` is
    set, or the first endpoint has no URL, the hook of the first endpoint is created as skipped, with the reason, so
    that the log shows it; other endpoints get no hook for an event with `skip`.

    First attempts are sent in this order: the row lock on the tally is held until commit, so ids are in commit order.
    The commit wakes the dispatchers. One query for any number of events; three more if the instance has several
    endpoints, or its endpoint has filters.

    While a verification overrides the URL of the first endpoint and its own URL also gets hooks, an event has two hooks
    there, each with its URL: one for the bin and one for the own URL. Both have all guarantees of a hook.

    Raises:
        TransactionManagementError: called outside a transaction.
        Endpoint.DoesNotExist: the instance was deleted.
        UnicodeDecodeError: a body is not UTF-8 and cannot be signed.
    """
    if not events:
        return []
    check_transaction()
    for event in events:
        event.body.decode()
    now = timezone.now()
    rows = prepared.fetch_all(
        EMIT,
        {
            "at": now,
            "endpoint": instance_id,
            "number": len(events),
            "skipped": sum(event.skip is not None for event in events),
            "events": as_json((instance_id, event, "") for event in events),
        },
    )
    if not rows:
        raise deleted(instance_id)
    if (
        rows[0][0] is None
    ):  # the lock on the first endpoint's tally is held: no other event is between the statements
        rows = emit_for_each(instance_id, events, now)
    hooks = [Hook.from_db(connection.alias, RETURNED, row) for row in rows]
    for lane in {hook.endpoint_id: None for hook in hooks if hook.state == State.QUEUED}:
        wake(lane)
    return hooks


def emit_for_many(events: Mapping[int, Sequence[Event]]) -> None:
    """Create the hooks of the events of many instances, by their keys: as emit_all() for each, in one query.

    Three more queries for each instance with several endpoints, or whose endpoint has filters. Raises as emit_all().
    """
    if len(events) < 2:
        for instance_id, of_one in events.items():
            emit_all(instance_id, of_one)
        return
    check_transaction()
    wanted = [(key, event, "") for key, of_one in events.items() for event in of_one]
    for _, event, _ in wanted:
        event.body.decode()
    now = timezone.now()
    rows = prepared.fetch_all(EMIT_MANY, {"at": now, "events": as_json(wanted)})
    found = {endpoint for _, endpoint, _ in rows}
    for key, of_one in events.items():
        if of_one and key not in found:
            raise deleted(key)
    for key in [endpoint for hook, endpoint, _ in rows if hook is None]:  # its tally is locked
        rows += emit_for_each(key, events[key], now)
    for lane in {endpoint: None for _, endpoint, state in rows if state == State.QUEUED}:
        wake(lane)


Wanted = tuple[int, Event, str]  # the endpoint's id, the event, and the hook's own URL or ""


def as_json(wanted: Iterable[Wanted]) -> str:
    """Returns the hooks to create as EVENTS reads them."""
    return json.dumps(
        [
            {
                "place": place,
                "endpoint": endpoint,
                "public_id": new_public_id().hex,
                "kind": event.kind,
                "body": event.body.hex(),
                "message": event.message,
                "chat": event.chat,
                "skip": event.skip or "",
                "to_url": to_url,
            }
            for place, (endpoint, event, to_url) in enumerate(wanted)
        ],
        ensure_ascii=False,
    )


def emit_for_each(instance_id: int, events: Sequence[Event], now: datetime) -> list[tuple[Any, ...]]:
    """Create and count the hooks of these events for each endpoint that they match; returns them. Three queries."""
    wanted: list[Wanted] = []
    for endpoint in Endpoint.objects.present().filter(instance=instance_id):
        own = endpoint.own_url_as_well(now)
        matching = [
            event
            for event in events
            if (endpoint.is_first or event.skip is None) and matches(endpoint, event)
        ]
        wanted += [
            (endpoint.pk, event, endpoint.override_url if own and not event.skip else "")
            for event in matching
        ]
        wanted += [(endpoint.pk, event, own) for event in matching if own and not event.skip]
    if not wanted:
        return []
    created = prepared.fetch_all(INSERT, {"at": now, "events": as_json(wanted)})
    emitted = Counter(endpoint for _, endpoint, _ in created)
    skipped = Counter(endpoint for _, endpoint, state in created if state == State.SKIPPED)
    lanes = list(emitted)
    prepared.fetch_all(COUNT, [lanes, list(emitted.values()), [skipped[lane] for lane in lanes]])
    return created


def count_emitted(endpoint_id: int) -> None:
    """Count one hook before it is created, and lock the order of the lane until the transaction ends. One query.

    Raises TransactionManagementError and Endpoint.DoesNotExist as emit_all() does.
    """
    check_transaction()
    if not prepared.fetch_all(COUNT, [[endpoint_id], [1], [0]]):
        raise deleted(endpoint_id)


def check_transaction() -> None:
    """Raises TransactionManagementError outside a transaction."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "A hook must be created in the transaction of its event."
        )


def deleted(key: int) -> Endpoint.DoesNotExist:
    """Returns the exception with its sentence."""
    return Endpoint.DoesNotExist(f"The instance or endpoint with key {key} was deleted.")


def wake(lane: int) -> None:
    """Notify the dispatchers after the commit that the lane has a due hook."""
    notify_after_commit(CHANNEL, str(lane))
