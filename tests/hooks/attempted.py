"""Hooks with an attempt, recorded as dispatchers do it, at times that a test chooses."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from hooks.dispatch.attempts import attempt_result, claimed_hook
from hooks.dispatch.record import record_attempts
from hooks.http import Response
from hooks.models import Endpoint, Hook, Kind, Outcome, State, new_public_id
from tests.factories import create_hook


def attempt_hook(
    endpoint: Endpoint,
    status: int | None = 500,
    *,
    at: datetime | None = None,
    hook: Hook | None = None,
    url: str = "",
    outcome: Outcome | None = None,
    simulated: bool = False,
    **parts: object,
) -> Hook:
    """Records one attempt of a new hook, or of `hook`, and returns it. `parts` are other parts of the response."""
    at = at or timezone.now()
    if hook is None:
        hook = create_hook(
            public_id=new_public_id(at), endpoint=endpoint, kind=Kind.MESSAGE, body=b"{}", created_at=at,
            attempts_allowed=endpoint.attempts_allowed, simulated=simulated,
        )  # fmt: skip
    Hook.objects.filter(pk=hook.pk).update(
        state=State.SENDING, claim=1, lease_until=at + timedelta(seconds=30), finished_at=None
    )
    hook.refresh_from_db()
    outcome = outcome or (Outcome.OK if status == 200 else Outcome.NOT_200)
    response = Response(outcome, status=status, total_ms=5.0, **parts)  # type: ignore[arg-type]
    claimed = claimed_hook(hook, endpoint, url=url or endpoint.url, secret=endpoint.secret)
    result = attempt_result(claimed, at, {}, response)
    result.finished_at = result.finished_at and at
    with transaction.atomic():
        record_attempts(connection.connection, [result])
    hook.refresh_from_db()
    return hook
