"""Creates hooks in the caller's transaction, so an event and its hooks are stored together or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from hooks.filters import matches
from hooks.models import Endpoint, Hook, Kind, SkipReason, State
from hooks.sql import bulk_insert
from hooks.urls import destination
from hooks.wakeups import notify_after_commit

CHANNEL = "hooks"  # the PostgreSQL channel on which dispatchers listen; the payload is the lane

AT = "%(at)s::timestamptz"
# Whether the endpoint's row alone says what to create: it is its instance's only one, and every event matches.
IS_SIMPLE = """e.others = '{}' AND e.families = '{}' AND e.direction = '' AND e.message_types = '{}'
    AND e.chat_ids = '{}' AND e.chat_kinds = ''"""
# Only what emit_all() reads, in the order of the columns that are returned: it runs for every event.
ENDPOINT_FIELDS = ["id", "url", "override_url", "override_until", "override_also_sends_to_own", "guaranteed"]
COUNT_EMITTED = f"""
UPDATE hooks_tally t SET
    emitted = t.emitted + %(number)s
        + CASE WHEN {destination.own_url_as_well_sql(now=AT)} THEN %(number)s - %(skipped)s ELSE 0 END,
    skipped = t.skipped + CASE
        WHEN {AT} IS NULL THEN 0
        WHEN {destination.endpoint_url_sql(now=AT)} = '' THEN %(number)s
        ELSE %(skipped)s END
FROM hooks_endpoint e WHERE t.endpoint_id = %(endpoint)s AND e.id = t.endpoint_id
RETURNING e.id, e.url, e.borrowed_url, e.borrowed_until, e.borrowed_forwards, e.guaranteed, {IS_SIMPLE} AS is_simple
"""
# Rows are locked in the order of their ids, as by all who lock several.
CORRECT_COUNTS = """
WITH locked AS (
    SELECT t.endpoint_id, u.emitted, u.skipped
    FROM hooks_tally t
    JOIN unnest(%s::bigint[], %s::int[], %s::int[]) AS u (id, emitted, skipped) ON t.endpoint_id = u.id
    ORDER BY t.endpoint_id FOR NO KEY UPDATE OF t
)
UPDATE hooks_tally t SET emitted = t.emitted + locked.emitted, skipped = t.skipped + locked.skipped
FROM locked WHERE t.endpoint_id = locked.endpoint_id
"""


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
    The commit wakes the dispatchers. Two queries for any number of events; two more if the instance has several
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
    for event in events:
        event.body.decode()
    now = timezone.now()
    skipped = sum(event.skip is not None for event in events)
    endpoint, is_simple = count_emitted(instance_id, len(events), skipped=skipped, at=now)
    hooks = new_hooks(endpoint, events, now)
    if not is_simple:
        counted = hooks
        # The lock on the first endpoint's tally is held: no other event of the instance is between these statements.
        hooks = hooks_of_each(instance_id, events, now)
        correct_counts(counted, hooks)
    bulk_insert.insert(hooks)
    for lane in {hook.endpoint_id: None for hook in hooks if hook.state == State.QUEUED}:
        wake(lane)
    return hooks


def new_hooks(endpoint: Endpoint, events: Sequence[Event], now: datetime) -> list[Hook]:
    """Returns the hooks of these events for one endpoint, not stored yet. Second hooks, for the own URL, come last."""
    without_url = None if endpoint.effective_url(now) else SkipReason.NO_ADDRESS
    own = endpoint.own_url_as_well(now)
    hooks, forwarded = [], []
    for event in events:
        skip = event.skip or without_url
        urls = [endpoint.override_url, own] if own and not skip else [""]
        created = [
            Hook(
                endpoint=endpoint,
                kind=event.kind,
                body=event.body,
                message=event.message,
                chat=event.chat,
                to_url=to_url,
                attempts_allowed=endpoint.attempts_allowed,
                created_at=now,
                state=State.SKIPPED if skip else State.QUEUED,
                skip_reason=skip or "",
                finished_at=now if skip else None,
            )
            for to_url in urls
        ]
        hooks.append(created[0])
        forwarded += created[1:]
    return [*hooks, *forwarded]


def hooks_of_each(instance_id: int, events: Sequence[Event], now: datetime) -> list[Hook]:
    """Returns the hooks of these events for each endpoint that they match, not stored yet. One query."""
    hooks = []
    for endpoint in Endpoint.objects.present().filter(instance=instance_id):
        matching = [
            event
            for event in events
            if (endpoint.is_first or event.skip is None) and matches(endpoint, event)
        ]
        hooks += new_hooks(endpoint, matching, now)
    return hooks


def correct_counts(counted: Sequence[Hook], created: Sequence[Hook]) -> None:
    """Change the tallies from the hooks that count_emitted() has counted to those that are created. One query."""
    emitted: Counter[int] = Counter()
    skipped: Counter[int] = Counter()
    for hooks, sign in ((created, 1), (counted, -1)):
        for hook in hooks:
            emitted[hook.endpoint_id] += sign
            skipped[hook.endpoint_id] += sign if hook.state == State.SKIPPED else 0
    lanes = [lane for lane in emitted if emitted[lane] or skipped[lane]]
    if lanes:
        with connection.cursor() as cursor:
            cursor.execute(
                CORRECT_COUNTS, [lanes, [emitted[lane] for lane in lanes], [skipped[lane] for lane in lanes]]
            )


class Counted(NamedTuple):
    """The endpoint for which hooks were counted, and whether its row alone says what to create (IS_SIMPLE)."""

    endpoint: Endpoint  # other columns than those of COUNT_EMITTED are read when they are used
    is_simple: bool


def count_emitted(
    endpoint_id: int, number: int = 1, *, skipped: int = 0, at: datetime | None = None
) -> Counted:
    """Count `number` hooks before they are created, and lock the order of the lane until the transaction ends.

    `skipped` of them have a reason to be skipped. With `at`, all count as skipped if the endpoint has no URL at that
    time, and hooks that are not skipped count twice if the own URL also gets them. Returns the endpoint's current row.
    One query. Raises as emit_all() does.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "A hook must be created in the transaction of its event."
        )
    with connection.cursor() as cursor:
        cursor.execute(
            COUNT_EMITTED, {"number": number, "skipped": skipped, "at": at, "endpoint": endpoint_id}
        )
        row = cursor.fetchone()
    if row is None:
        raise Endpoint.DoesNotExist(f"The instance or endpoint with key {endpoint_id} was deleted.")
    *values, is_simple = row
    return Counted(Endpoint.from_db(connection.alias, ENDPOINT_FIELDS, values), is_simple)


def wake(lane: int) -> None:
    """Notify the dispatchers after the commit that the lane has a due hook."""
    notify_after_commit(CHANNEL, str(lane))
