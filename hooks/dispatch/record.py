"""Writing down what came of attempts: one COPY and one UPDATE for a whole batch, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from hooks import retries, signing
from hooks.addresses import host_of
from hooks.explain import explain_outcome
from hooks.http import Answer, as_sent
from hooks.models import Outcome, State, Trigger


@dataclass(slots=True)
class Claimed:
    """A hook that has been claimed: all that is needed to send it once."""

    id: int
    webhook_id: str
    endpoint_id: int
    body: bytes
    claim: int
    made: int  # attempts made before this one
    allowed: int
    trigger: Trigger
    simulated: bool
    url: str
    secret: str
    parallel: bool
    lease_ends: float  # by time.monotonic()

    def headers(self, at: datetime) -> dict[str, str]:
        """The headers of this attempt, signed."""
        return signing.headers(
            webhook_id=self.webhook_id,
            body=self.body,
            secret=self.secret,
            at=at,
            number=self.made + 1,
            allowed=self.allowed,
            simulated=self.simulated,
        )


@dataclass(slots=True)
class Result:
    """One attempt that has ended, and what follows for its hook."""

    hook: Claimed
    started_at: datetime
    headers: dict[str, str]
    answer: Answer
    state: State
    next_attempt_at: datetime | None
    finished_at: datetime | None


def judge(hook: Claimed, started_at: datetime, headers: dict[str, str], answer: Answer) -> Result:
    """What follows from an answer: delivered, another attempt later, or failed for good."""
    now = datetime.now(UTC)
    if answer.outcome == Outcome.OK:
        return Result(hook, started_at, headers, answer, State.DELIVERED, None, now)
    due = retries.next_attempt(
        now,
        made=hook.made + 1,
        allowed=hook.allowed,
        status=answer.status,
        retry_after=answer.header("retry-after"),
    )
    if due is None:
        return Result(hook, started_at, headers, answer, State.FAILED, None, now)
    return Result(hook, started_at, headers, answer, State.RETRYING, due, None)


UPDATE = """
UPDATE hooks_hook h SET
    state = u.state, attempts_made = u.made, next_attempt_at = u.next_at, finished_at = u.finished_at,
    trigger = 'retry', lease_until = NULL,
    last_outcome = u.outcome, last_status = u.status, last_host = u.host, last_ms = u.ms
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::smallint[], %s::timestamptz[], %s::timestamptz[],
            %s::text[], %s::smallint[], %s::text[], %s::float8[])
    AS u (id, claim, state, made, next_at, finished_at, outcome, status, host, ms)
WHERE h.id = u.id AND h.claim = u.claim AND h.state = 'sending'
RETURNING h.id
"""
COLUMNS = (
    "hook_id, number, trigger, started_at, url, address, request_headers, status, response_headers, response_body, "
    "response_size, outcome, side, error, name_ms, connect_ms, tls_ms, first_byte_ms, total_ms"
)
COPY = f"COPY hooks_attempt ({COLUMNS}) FROM STDIN"
INSERT_LATE = f"""
INSERT INTO hooks_attempt ({COLUMNS}) SELECT {", ".join(["%s"] * 19)}
WHERE NOT EXISTS (SELECT 1 FROM hooks_attempt WHERE hook_id = %s AND number = %s AND started_at = %s)
AND EXISTS (SELECT 1 FROM hooks_hook WHERE id = %s)
"""


def record(session: psycopg.Connection[Any], results: Sequence[Result]) -> None:
    """Write the attempts and move their hooks on.

    A hook that was claimed anew or cancelled in the meantime is left alone: its claim number or its state is
    another. Its attempt is written all the same, once, for it did happen.
    """
    with session.transaction(), session.cursor() as cursor:
        cursor.execute(UPDATE, as_columns(results))
        moved = {row[0] for row in cursor.fetchall()}
        on_time = [result for result in results if result.hook.id in moved]
        if on_time:
            with cursor.copy(COPY) as copy:
                for result in on_time:
                    copy.write_row(as_row(result))
        for result in results:
            if result.hook.id not in moved:
                row = as_row(result)
                cursor.execute(INSERT_LATE, [*row, row[0], row[1], row[3], row[0]])


def as_columns(results: Sequence[Result]) -> list[list[Any]]:
    """The arrays of UPDATE, one a column."""
    columns = zip(
        *(
            (
                result.hook.id,
                result.hook.claim,
                result.state.value,
                result.hook.made + 1,
                result.next_attempt_at,
                result.finished_at,
                result.answer.outcome.value,
                result.answer.status,
                host_of(result.hook.url)[:255],
                result.answer.total_ms,
            )
            for result in results
        ),
        strict=True,
    )
    return [list(column) for column in columns]


def as_row(result: Result) -> tuple[Any, ...]:
    """The attempt's row, in the order of COLUMNS."""
    hook, answer = result.hook, result.answer
    location = answer.header("location") if answer.outcome == Outcome.REDIRECT else ""
    side = explain_outcome(
        answer.outcome, url=hook.url, status=answer.status, error=answer.error, location=location
    ).side
    return (
        hook.id,
        hook.made + 1,
        hook.trigger.value,
        result.started_at,
        hook.url,
        answer.address,
        json.dumps(as_sent(hook.url, result.headers, hook.body)),
        answer.status,
        json.dumps(answer.headers),
        answer.body,
        answer.size,
        answer.outcome.value,
        side.value if side else "",
        answer.error[:500].replace("\x00", ""),
        answer.name_ms,
        answer.connect_ms,
        answer.tls_ms,
        answer.first_byte_ms,
        answer.total_ms,
    )
