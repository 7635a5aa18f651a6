"""Creates hooks in the caller's transaction, so an event and its hooks are stored together or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from hooks.models import Endpoint, Hook, Kind, SkipReason, State
from hooks.sql import bulk_insert
from hooks.urls import destination
from hooks.wakeups import notify_after_commit

CHANNEL = "hooks"  # the PostgreSQL channel on which dispatchers listen; the payload is the lane

AT = "%(at)s::timestamptz"
COUNT_EMITTED = f"""
UPDATE hooks_tally t SET
    emitted = t.emitted + %(number)s
        + CASE WHEN {destination.own_url_as_well_sql(now=AT)} THEN %(number)s - %(skipped)s ELSE 0 END,
    skipped = t.skipped + CASE
        WHEN {AT} IS NULL THEN 0
        WHEN {destination.endpoint_url_sql(now=AT)} = '' THEN %(number)s
        ELSE %(skipped)s END
FROM hooks_endpoint e WHERE t.endpoint_id = %(instance)s AND e.instance_id = t.endpoint_id
RETURNING e.*
"""


class Event(NamedTuple):
    """A hook to create: its exact bytes (UTF-8), its message and chat, and the reason to skip it, if any."""

    kind: Kind
    body: bytes
    message: str = ""
    chat: str = ""
    skip: SkipReason | None = None


def emit(
    *,
    instance_id: int,
    kind: Kind,
    body: bytes,
    message: str = "",
    chat: str = "",
    skip: SkipReason | None = None,
) -> Hook:
    """Create the hook of one event; returns it. See emit_all()."""
    return emit_all(instance_id, [Event(kind, body, message, chat, skip)])[0]


def emit_all(instance_id: int, events: Sequence[Event]) -> list[Hook]:
    """Create the hooks of these events, in order; returns one per event.

    A hook is created as skipped, with the reason, if `skip` is set or the instance has no URL; the log shows it. First
    attempts are sent in this order: the row lock on the tally is held until commit, so ids are in commit order. The
    commit wakes the dispatchers. Two queries for any number of events.

    While a verification overrides the URL and the endpoint's own URL also gets hooks, an event has two hooks, each with
    its URL: one for the bin, which is returned, and one for the own URL. Both have all guarantees of a hook.

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
    endpoint = count_emitted(
        instance_id, len(events), skipped=sum(event.skip is not None for event in events), at=now
    )
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
    bulk_insert.insert([*hooks, *forwarded])
    if any(hook.state == State.QUEUED for hook in hooks):
        wake(instance_id)
    return hooks


def count_emitted(
    instance_id: int, number: int = 1, *, skipped: int = 0, at: datetime | None = None
) -> Endpoint:
    """Count `number` hooks before they are created, and lock the order of the lane until the transaction ends.

    `skipped` of them have a reason to be skipped. With `at`, all count as skipped if the endpoint has no URL at that
    time, and hooks that are not skipped count twice if the own URL also gets them. Returns the endpoint's current row.
    One query. Raises as emit_all() does.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "A hook must be created in the transaction of its event."
        )
    rows = Endpoint.objects.raw(
        COUNT_EMITTED, {"number": number, "skipped": skipped, "at": at, "instance": instance_id}
    )
    for endpoint in rows:
        return endpoint
    raise Endpoint.DoesNotExist(f"The instance with key {instance_id} was deleted.")


def wake(instance_id: int) -> None:
    """Notify the dispatchers after the commit that the instance's lane has a due hook."""
    notify_after_commit(CHANNEL, str(instance_id))
