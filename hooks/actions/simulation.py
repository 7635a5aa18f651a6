"""Simulations: hooks sent immediately in the calling thread, outside the lane, because a user is waiting on the page.

The row is written with a lease before the request; if this process dies in between, a dispatcher sends the hook.
"""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import NotRequired, TypedDict, Unpack

from django.db import connection, transaction
from django.utils import timezone

from hooks import http, metrics, tracing
from hooks.audit import ActingUser, report
from hooks.dispatch.attempts import attempt_result, claimed_hook
from hooks.dispatch.record import record_attempts
from hooks.models import Endpoint, Hook, Kind, State, Trigger, new_public_id
from hooks.outbox import count_emitted
from hooks.urls import webhook_urls

SIMULATION_LEASE = timedelta(seconds=30)


class SimulatedContent(TypedDict):
    """What a simulated hook contains: the optional `message` and `chat` are the ids that the log searches."""

    kind: Kind
    body: bytes
    to_url: str
    message: NotRequired[str]
    chat: NotRequired[str]


def simulate(endpoint: Endpoint, *, acting_user: ActingUser, **content: Unpack[SimulatedContent]) -> Hook:
    """Send one simulated hook; returns it finished, with one attempt. Takes at most 10 s.

    Raises webhook_urls.InvalidUrl.
    """
    with transaction.atomic():
        hook = create_simulated(endpoint, **content)
        report("hook.simulated", acting_user=acting_user, instance_id=endpoint.instance_id, hook=hook)
    return send(hook, endpoint)


@transaction.atomic
def create_simulated(
    endpoint: Endpoint, *, public_id: uuid.UUID | None = None, **content: Unpack[SimulatedContent]
) -> Hook:
    """Create one simulated hook; the caller sends it with send(), and writes the audit row.

    Pass a new `public_id` if the caller must know it in advance. Raises webhook_urls.InvalidUrl.
    """
    to_url = webhook_urls.check(content["to_url"])
    content["body"].decode()
    now = timezone.now()
    count_emitted(endpoint.pk)
    return Hook.objects.create(
        public_id=public_id or new_public_id(),
        endpoint=endpoint,
        kind=content["kind"],
        body=content["body"],
        message=content.get("message", ""),
        chat=content.get("chat", ""),
        simulated=True,
        to_url=to_url,
        state=State.SENDING,
        trigger=Trigger.SIMULATION,
        claim=1,
        lease_until=now + SIMULATION_LEASE,
        created_at=now,
    )


def simulate_again(hook: Hook) -> Hook | None:
    """Send a simulated hook again with the same `webhook-id`, as if the first response had been lost.

    Returns it finished, with one more attempt; None if it is unfinished, or its body was dropped by age. Only runs of
    simulations call it, and create_run has written their audit row.
    """
    with transaction.atomic():
        row = Hook.objects.select_for_update(no_key=True).get(pk=hook.pk, simulated=True)
        if not row.is_finished or row.body_dropped_at is not None:
            return None
        row.state, row.skip_reason, row.trigger = State.SENDING, "", Trigger.SIMULATION
        row.claim += 1
        row.lease_until, row.finished_at = timezone.now() + SIMULATION_LEASE, None
        row.attempts_allowed = row.attempts_made + 1
        row.save(
            update_fields=[
                "state", "skip_reason", "trigger", "claim", "lease_until", "finished_at", "attempts_allowed",
            ]
        )  # fmt: skip
    return send(row, row.endpoint)


def send(hook: Hook, endpoint: Endpoint) -> Hook:
    """Make one attempt of a leased hook; returns the hook in its new state."""
    claimed = claimed_hook(
        hook,
        endpoint,
        url=hook.to_url,
        secret=" ".join(endpoint.valid_secrets()),
        lease_ends=time.monotonic() + SIMULATION_LEASE.total_seconds(),
    )
    at = datetime.now(UTC)
    headers = claimed.headers(at)
    result = attempt_result(claimed, at, headers, http.post(hook.to_url, headers, claimed.body))
    connection.ensure_connection()
    counted = record_attempts(connection.connection, [result])
    metrics.add(connection.connection, metrics.OTHER_PROCESSES, counted)
    tracing.export([result])
    hook.refresh_from_db()
    return hook
