"""A dispatcher of the tests: a database session that claims hooks and records results, without the loop."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from django.db import transaction
from django.utils import timezone

from hooks import outbox, worker_slots
from hooks.dispatch import claim
from hooks.dispatch.attempts import AttemptResult, ClaimedHook, attempt_result
from hooks.dispatch.lane_places import Places
from hooks.http import Response
from hooks.models import Endpoint, Hook, Kind, Lane, Outcome, State, Trigger

Session = psycopg.Connection[Any]
ME, OTHER = 1_000_000_000_001, 1_000_000_000_002


class Dispatcher:
    """A session that holds its advisory lock, like a worker slot, without the loop."""

    def __init__(self, me: int) -> None:
        self.me = me
        self.session = worker_slots.connect()
        self.session.execute("SELECT pg_advisory_lock(%s)", [me])
        self.places: Places = {}
        self.queue_starts: dict[int, int] = {}

    def claim(self, *endpoints: Endpoint, n: int = 10) -> list[ClaimedHook]:
        wanted = {endpoint.pk: n for endpoint in endpoints}
        return claim.claim_hooks(
            self.session, self.me, wanted, places=self.places, queue_starts=self.queue_starts
        ).hooks


def emit(endpoint: Endpoint, n: int = 1) -> list[Hook]:
    with transaction.atomic():
        return [
            outbox.emit(instance_id=endpoint.pk, kind=Kind.MESSAGE, body=b"%d" % number)
            for number in range(n)
        ]


def retrying(hook: Hook, seconds_ago: float = 1) -> Hook:
    """Puts the hook into the state after one failed attempt, with a retry due for this many seconds."""
    due = timezone.now() - timedelta(seconds=seconds_ago)
    Hook.objects.filter(pk=hook.pk).update(
        state=State.RETRYING, attempts_made=1, attempts_allowed=20, next_attempt_at=due, trigger=Trigger.RETRY
    )
    return hook


def result(hook: ClaimedHook, status: int = 200) -> AttemptResult:
    outcome = Outcome.OK if status == 200 else Outcome.NOT_200
    at = datetime.now(UTC)
    return attempt_result(hook, at, hook.headers(at), Response(outcome, status=status, total_ms=1.0))


def stored(hook: Hook | ClaimedHook) -> Hook:
    return Hook.objects.get(pk=hook.id)


def shown(hook: Hook | ClaimedHook) -> str:
    """The state that pages show."""
    return Hook.objects.show_sending().get(pk=hook.id).state


def owner(endpoint: Endpoint) -> int | None:
    return Lane.objects.get(pk=endpoint.pk).owner


def wait_until_unlocked(session: Session, lock: int) -> None:
    """Waits for PostgreSQL to notice the end of a session, which takes it a moment."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        row = session.execute("SELECT pg_try_advisory_lock(%s)", [lock]).fetchone()
        if row and row[0]:
            session.execute("SELECT pg_advisory_unlock(%s)", [lock])
            return
        time.sleep(0.01)
    raise AssertionError("the lock of a closed session was not released in 60 s")
