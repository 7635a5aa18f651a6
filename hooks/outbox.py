"""emit(): write a hook inside the caller's transaction. The only way in which hooks come to be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from hooks import bulk_insert
from hooks.models import Endpoint, Hook, Kind, SkipReason, State

CHANNEL = "hooks"  # the PostgreSQL channel on which dispatchers listen; the payload is the lane


class Event(NamedTuple):
    """A hook to be: its exact bytes (UTF-8), what it is about, and why it is not to be sent, if so."""

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
    """Write the hook of an event that is being written in the same transaction; see emit_all()."""
    return emit_all(instance_id, [Event(kind, body, message, chat, skip)])[0]


def emit_all(instance_id: int, events: Sequence[Event]) -> list[Hook]:
    """Write the hooks of events that are being written in the same transaction, in their order.

    With `skip`, or when the instance has no address, a hook is written as skipped with the reason,
    so that the log can show it. The order in which an instance's events are emitted is the order of
    its first attempts: the lock on the tally, held until the caller's transaction ends, makes the order
    of ids the order of commits. The commit wakes the dispatchers. Three queries, however many events.

    While the address is borrowed and the own one is to get everything too, an event makes two hooks, each bound to
    its address: the borrowed one's, which is returned, and behind it the own one's, with all that a hook is promised.

    Raises TransactionManagementError outside a transaction (a hook without its event is a lie),
    Endpoint.DoesNotExist when the instance is gone, and UnicodeDecodeError when a body is not UTF-8: it
    could not be signed.
    """
    if not events:
        return []
    for event in events:
        event.body.decode()
    now = timezone.now()
    endpoint = count_emitted(
        instance_id, len(events), skipped=sum(event.skip is not None for event in events), at=now
    )
    no_address = None if endpoint.effective_url(now) else SkipReason.NO_ADDRESS
    own = endpoint.own_url_as_well(now)
    hooks, forwarded = [], []
    for event in events:
        skip = event.skip or no_address
        bound_to = [endpoint.borrowed_url, own] if own and not skip else [""]
        made = [
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
            for to_url in bound_to
        ]
        hooks.append(made[0])
        forwarded += made[1:]
    bulk_insert.insert([*hooks, *forwarded])
    if any(hook.state == State.QUEUED for hook in hooks):
        wake(instance_id)
    return hooks


def count_emitted(
    instance_id: int, number: int = 1, *, skipped: int = 0, at: datetime | None = None
) -> Endpoint:
    """Count hooks that are about to be written, and hold the lane's order until the transaction ends.

    `skipped` of them are skipped anyway; with `at`, all are where the endpoint has no address at that time, and
    those that are not count twice where the own address gets them too.
    Returns the endpoint as it is now, from the same query.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("A hook belongs into the transaction of its event.")
    rows = Endpoint.objects.raw(
        "UPDATE hooks_tally t SET emitted = t.emitted + %(number)s + CASE"
        " WHEN e.borrowed_forwards AND e.borrowed_until > %(at)s::timestamptz AND e.url <> ''"
        " THEN %(number)s - %(skipped)s ELSE 0 END, skipped = t.skipped + CASE"
        " WHEN %(at)s::timestamptz IS NULL THEN 0"
        " WHEN CASE WHEN e.borrowed_until > %(at)s THEN e.borrowed_url ELSE e.url END = '' THEN %(number)s"
        " ELSE %(skipped)s END"
        " FROM hooks_endpoint e WHERE t.endpoint_id = %(instance)s AND e.instance_id = t.endpoint_id RETURNING e.*",
        {"number": number, "skipped": skipped, "at": at, "instance": instance_id},
    )
    for endpoint in rows:
        return endpoint
    raise Endpoint.DoesNotExist(f"The instance with key {instance_id} is gone.")


def wake(instance_id: int) -> None:
    """Tell the dispatchers, when this transaction commits, that the lane has something due."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(instance_id)])
