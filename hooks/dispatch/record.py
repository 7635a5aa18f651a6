"""Writing down what came of attempts: one COPY and one UPDATE for a whole batch, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg

from hooks import metrics
from hooks.dispatch import rows
from hooks.dispatch.attempts import AttemptResult
from hooks.models import Outcome

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
# Not to be written: the same attempt once more, or one of a hook that has been deleted.
KNOWN = """
SELECT EXISTS (SELECT 1 FROM hooks_attempt WHERE hook_id = %s AND number = %s AND started_at = %s)
OR NOT EXISTS (SELECT 1 FROM hooks_hook WHERE id = %s)
"""


# Since when an endpoint has given nothing but failures: written where that begins or ends, read else. A
# verification's bin and an address made up for a simulation say nothing about the endpoint.
FAILING = """
UPDATE hooks_endpoint e SET failing_since = u.since
FROM unnest(%s::bigint[], %s::timestamptz[]) AS u (id, since)
WHERE e.instance_id = u.id AND (e.failing_since IS NULL) <> (u.since IS NULL)
AND (e.borrowed_until IS NULL OR e.borrowed_until <= clock_timestamp())
"""


def record(session: psycopg.Connection[Any], results: Sequence[AttemptResult]) -> Counter[metrics.Series]:
    """Write the attempts and move their hooks on; returns what is to be counted of it.

    A hook that was claimed anew or cancelled in the meantime is left alone: its claim number or its state is
    another. Its attempt is written all the same, once, for it did happen.
    """
    with session.transaction(), session.cursor() as cursor:
        cursor.execute(UPDATE, rows.columns(results))
        moved = {row[0] for row in cursor.fetchall()}
        late = [result for result in results if result.hook.id not in moved and not is_known(cursor, result)]
        happened = [result for result in results if result.hook.id in moved] + late
        if happened:
            with cursor.copy(COPY) as copy:
                copy.write("".join([rows.line(result) for result in happened]))
        if since := failing_since(results):
            cursor.execute(FAILING, [list(since), list(since.values())])
    counted: Counter[metrics.Series] = Counter(
        (metrics.ATTEMPTS, result.answer.outcome.value) for result in happened
    )
    counted.update(
        (metrics.FINISHED, result.state.value)
        for result in results
        if result.finished_at and result.hook.id in moved
    )
    return counted


def is_known(cursor: psycopg.Cursor[Any], result: AttemptResult) -> bool:
    hook = result.hook
    row = cursor.execute(KNOWN, [hook.id, hook.attempts_made + 1, result.started_at, hook.id]).fetchone()
    return bool(row and row[0])


def failing_since(results: Sequence[AttemptResult]) -> dict[int, datetime | None]:
    """By endpoint: when the first of its attempts here failed, or None where one was a success."""
    found: dict[int, datetime | None] = {}
    for result in results:
        if result.hook.simulated:
            continue
        lane, ok = result.hook.endpoint_id, result.answer.outcome == Outcome.OK
        if ok:
            found[lane] = None
        elif lane not in found:
            found[lane] = result.started_at
    return found
