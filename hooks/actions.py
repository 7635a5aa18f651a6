"""Everything that is done to endpoints and hooks by people, pages and programs; each atomic."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from hooks import addresses, http
from hooks.dispatch.record import Claimed, judge, record
from hooks.models import (
    UNFINISHED,
    Attempt,
    Endpoint,
    Hook,
    Kind,
    Lane,
    State,
    Tally,
    Trigger,
    new_secret,
)
from hooks.outbox import count_emitted, wake

SIMULATION_LEASE = timedelta(seconds=30)


class NotPossible(Exception):
    """The action does not apply to the hook as it stands now; str() is a sentence for people."""


def open_endpoint(instance_id: int) -> Endpoint:
    """Make the endpoint (and lane) of a new instance, without an address."""
    with transaction.atomic():
        endpoint = Endpoint.objects.create(instance_id=instance_id)
        Lane.objects.create(endpoint=endpoint)
        Tally.objects.create(endpoint=endpoint)
    return endpoint


def configure(
    endpoint: Endpoint,
    *,
    actor: Any = None,
    url: str | None = None,
    guaranteed: bool | None = None,
    parallel: bool | None = None,
) -> dict[str, Any]:
    """Change what is given; returns only what changed. An empty `url` means: no address.

    Raises addresses.BadAddress, and then nothing has changed.
    """
    wanted: dict[str, Any] = {}
    if url is not None:
        wanted["url"] = addresses.check(url) if url.strip() else ""
    if guaranteed is not None:
        wanted["guaranteed"] = guaranteed
    if parallel is not None:
        wanted["parallel"] = parallel
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        changed = {name: value for name, value in wanted.items() if getattr(row, name) != value}
        for name, value in changed.items():
            setattr(row, name, value)
            setattr(endpoint, name, value)
        if changed:
            row.save(update_fields=list(changed))
    return changed


def rotate_secret(endpoint: Endpoint, *, actor: Any) -> str:
    """A new signing secret, valid from the next attempt on; returns it."""
    endpoint.secret = new_secret()
    endpoint.save(update_fields=["secret"])
    return endpoint.secret


def borrow_address(endpoint: Endpoint, *, url: str, until: datetime, actor: Any = None) -> None:
    """Until then (or return_address) the hooks go to `url`; the endpoint's own address stays as it is."""
    endpoint.borrowed_url, endpoint.borrowed_until = addresses.check(url), until
    endpoint.save(update_fields=["borrowed_url", "borrowed_until"])


def return_address(endpoint: Endpoint, *, actor: Any = None) -> None:
    """End the borrowing before its time."""
    endpoint.borrowed_url, endpoint.borrowed_until = "", None
    endpoint.save(update_fields=["borrowed_url", "borrowed_until"])


def return_all_addresses() -> int:
    """End every borrowing, after all has stood still: whoever watched a bin is no longer watching. How many."""
    return Endpoint.objects.filter(borrowed_until__gt=timezone.now()).update(
        borrowed_url="", borrowed_until=None
    )


def simulate(
    endpoint: Endpoint,
    *,
    kind: Kind,
    body: bytes,
    to_url: str,
    message: str = "",
    chat: str = "",
    actor: Any = None,
) -> Hook:
    """Send one hook made by hand, in the calling thread; returns it finished, with one attempt.

    It takes 10 s at most, and does not wait for the lane: the person stands before the page. The row is
    written, leased, before the request; when this process dies in between, a dispatcher sends it.
    Raises addresses.BadAddress.
    """
    to_url = addresses.check(to_url)
    body.decode()
    now = timezone.now()
    with transaction.atomic():
        count_emitted(endpoint.pk)
        hook = Hook.objects.create(
            endpoint=endpoint,
            kind=kind,
            body=body,
            message=message,
            chat=chat,
            simulated=True,
            to_url=to_url,
            state=State.SENDING,
            trigger=Trigger.SIMULATION,
            claim=1,
            lease_until=now + SIMULATION_LEASE,
            created_at=now,
        )
    claimed = Claimed(
        id=hook.pk,
        webhook_id=hook.webhook_id,
        endpoint_id=endpoint.pk,
        body=body,
        claim=1,
        made=0,
        allowed=1,
        trigger=Trigger.SIMULATION,
        simulated=True,
        url=to_url,
        secret=endpoint.secret,
        parallel=False,
        lease_ends=time.monotonic() + SIMULATION_LEASE.total_seconds(),
    )
    at = datetime.now(UTC)
    headers = claimed.headers(at)
    result = judge(claimed, at, headers, http.post(to_url, headers, body))
    connection.ensure_connection()
    record(connection.connection, [result])
    hook.refresh_from_db()
    return hook


def resend(hook: Hook, *, actor: Any) -> Hook:
    """Send a finished hook again, under its old `webhook-id`; it takes the lane's turn like a retry.

    Raises NotPossible while it is still under way.
    """
    with transaction.atomic():
        row = (
            Hook.objects.select_for_update(no_key=True, of=("self",))
            .select_related("endpoint")
            .get(pk=hook.pk)
        )
        if not row.is_finished:
            raise NotPossible("This hook is still under way; it can be sent again when it has finished.")
        if not (row.to_url or row.endpoint.effective_url()):
            raise NotPossible("The instance has no webhook address. Set one first.")
        row.state, row.skip_reason, row.trigger = State.RETRYING, "", Trigger.RESEND
        row.next_attempt_at, row.finished_at = timezone.now(), None
        row.attempts_allowed = row.attempts_made + row.endpoint.attempts_allowed
        row.save(
            update_fields=[
                "state", "skip_reason", "trigger", "next_attempt_at", "finished_at", "attempts_allowed",
            ]
        )  # fmt: skip
        wake(row.endpoint_id)
    return row


def try_now(hook: Hook, *, actor: Any) -> Hook:
    """Make a retry due at once. Raises NotPossible when the hook does not wait for one."""
    with transaction.atomic():
        row = Hook.objects.select_for_update(no_key=True).get(pk=hook.pk)
        if row.state != State.RETRYING:
            raise NotPossible("This hook does not wait for another attempt.")
        row.next_attempt_at = timezone.now()
        row.save(update_fields=["next_attempt_at"])
        wake(row.endpoint_id)
    return row


def cancel(hook: Hook, *, actor: Any) -> Hook:
    """Give a waiting hook up. Raises NotPossible when it has finished.

    A request that is under way at this moment can't be called back: its attempt will be in the log.
    """
    with transaction.atomic():
        row = Hook.objects.select_for_update(no_key=True).get(pk=hook.pk)
        if row.state not in UNFINISHED:
            raise NotPossible("This hook has finished already.")
        row.state, row.finished_at = State.CANCELLED, timezone.now()
        row.next_attempt_at = row.lease_until = None
        row.save(update_fields=["state", "finished_at", "next_attempt_at", "lease_until"])
    return row


def newest_attempt(hook: Hook) -> Attempt | None:
    return hook.attempts.order_by("-number", "-id").first()


__all__ = [
    "NotPossible",
    "borrow_address",
    "cancel",
    "configure",
    "newest_attempt",
    "open_endpoint",
    "resend",
    "return_address",
    "return_all_addresses",
    "rotate_secret",
    "simulate",
    "try_now",
]
