"""emit(): write a hook inside the caller's transaction. The only way in which hooks come to be."""

from __future__ import annotations

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from hooks.models import Endpoint, Hook, Kind, SkipReason, State, Tally

CHANNEL = "hooks"  # the PostgreSQL channel on which dispatchers listen; the payload is the lane


def emit(
    *,
    instance_id: int,
    kind: Kind,
    body: bytes,
    message: str = "",
    chat: str = "",
    skip: SkipReason | None = None,
) -> Hook:
    """Write the hook of an event that is being written in the same transaction.

    With `skip`, or when the instance has no address, the hook is written as skipped with the reason,
    so that the log can show it. The order in which emit() is called for one instance is the order of
    its first attempts: the lock on the tally, held until the caller's transaction ends, makes the order
    of ids the order of commits. The commit wakes the dispatchers.

    Raises TransactionManagementError outside a transaction (a hook without its event is a lie), and
    ValueError when the body is not UTF-8: it could not be signed.
    """
    body.decode()
    count_emitted(instance_id)
    endpoint = Endpoint.objects.get(pk=instance_id)
    now = timezone.now()
    if skip is None and not endpoint.effective_url(now):
        skip = SkipReason.NO_ADDRESS
    hook = Hook(
        endpoint=endpoint,
        kind=kind,
        body=body,
        message=message,
        chat=chat,
        attempts_allowed=endpoint.attempts_allowed,
        created_at=now,
    )
    if skip is not None:
        hook.state, hook.skip_reason, hook.finished_at = State.SKIPPED, skip, now
    hook.save(force_insert=True)
    if skip is None:
        wake(instance_id)
    return hook


def count_emitted(instance_id: int) -> None:
    """Count a hook that is about to be written, and hold the lane's order until the transaction ends."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("A hook belongs into the transaction of its event.")
    Tally.objects.filter(pk=instance_id).update(emitted=F("emitted") + 1)


def wake(instance_id: int) -> None:
    """Tell the dispatchers, when this transaction commits, that the lane has something due."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(instance_id)])
