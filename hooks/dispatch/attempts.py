"""One attempt in memory: the claimed hook before it, and the result after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from hooks import database_clock, retries, signing, tracing
from hooks.http import Response
from hooks.models import Endpoint, Hook, Outcome, State, Trigger

BY_CURSOR = 0  # the claim number of a first attempt that was claimed by its lane's cursor, not in its row


@dataclass(slots=True)
class ClaimedHook:
    """A claimed hook, with all that is needed to send it once."""

    id: int
    webhook_id: str
    endpoint_id: int
    body: bytes
    claim: int
    attempts_made: int  # before this one
    attempts_allowed: int
    trigger: Trigger
    simulated: bool
    url: str
    secret: str  # the signing secret; for a day after a rotation followed by a space and the previous one
    parallel: bool
    lease_ends: float  # by time.monotonic()
    strict: bool = False  # strictOrder: it and its retries hold its lane
    instance_id: int = 0  # for log lines
    # a retry or a resend, which does not hold its lane; in state `retrying` before the claim
    is_retry: bool = field(init=False)

    def __post_init__(self) -> None:
        self.is_retry = self.attempts_made > 0 or self.trigger is not Trigger.EVENT

    def headers(self, at: datetime) -> dict[str, str]:
        """The signed headers of this attempt, and the one of its trace."""
        return signing.headers(
            webhook_id=self.webhook_id,
            body=self.body,
            secret=self.secret,
            at=at,
            number=self.attempts_made + 1,
            allowed=self.attempts_allowed,
            simulated=self.simulated,
        ) | tracing.headers(self.webhook_id, at)


def claimed_hook(
    hook: Hook, endpoint: Endpoint, *, url: str, secret: str, lease_ends: float = 0.0
) -> ClaimedHook:
    """Returns a hook that was claimed in its row, for an attempt that no dispatcher makes."""
    return ClaimedHook(
        id=hook.pk,
        webhook_id=hook.webhook_id,
        endpoint_id=endpoint.pk,
        body=bytes(hook.body),
        claim=hook.claim,
        attempts_made=hook.attempts_made,
        attempts_allowed=hook.attempts_allowed,
        trigger=Trigger(hook.trigger),
        simulated=hook.simulated,
        url=url,
        secret=secret,
        parallel=False,
        lease_ends=lease_ends,
        instance_id=endpoint.instance_id,
    )


@dataclass(slots=True)
class AttemptResult:
    """A finished attempt, and the state that its hook gets."""

    hook: ClaimedHook
    started_at: datetime
    headers: dict[str, str]
    response: Response
    state: State
    next_attempt_at: datetime | None
    finished_at: datetime | None


def attempt_result(
    hook: ClaimedHook, started_at: datetime, headers: dict[str, str], response: Response
) -> AttemptResult:
    """Decide the hook's state from the response: delivered, retrying at a time, or failed."""
    now = database_clock.now()
    if response.outcome == Outcome.OK:
        return AttemptResult(hook, started_at, headers, response, State.DELIVERED, None, now)
    due = retries.next_attempt(
        now,
        made=hook.attempts_made + 1,
        allowed=hook.attempts_allowed,
        status=response.status,
        retry_after=response.header("retry-after"),
    )
    if due is None:
        return AttemptResult(hook, started_at, headers, response, State.FAILED, None, now)
    return AttemptResult(hook, started_at, headers, response, State.RETRYING, due, None)
