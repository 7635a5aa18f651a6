"""Records attempts: one COPY and one UPDATE for a batch of results, in one transaction."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from hooks import metrics
from hooks.dispatch import copy_text
from hooks.dispatch.attempts import BY_CURSOR, AttemptResult
from hooks.dispatch.lane_places import Places, is_at_sql
from hooks.log import statistics
from hooks.models import Outcome
from hooks.sql import lane_queries
from hooks.urls import destination

# A first attempt is recorded if its lane still has the owner that has claimed it. A lane that is not at its place
# (lane_places.py) is looked up by its key.
UPDATE_HOOKS = f"""
WITH lane AS MATERIALIZED (
    SELECT l.endpoint_id, l.cursor FROM hooks_lane l WHERE {is_at_sql("l", "%s")} AND l.owner = %s
)
UPDATE hooks_hook h SET
    state = u.state, attempts_made = u.made, next_attempt_at = u.next_at, finished_at = u.finished_at,
    trigger = 'retry', lease_until = NULL,
    last_outcome = u.outcome, last_status = u.status, last_host = u.host, last_ms = u.ms
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::smallint[], %s::timestamptz[], %s::timestamptz[],
            %s::text[], %s::smallint[], %s::text[], %s::float8[], %s::bigint[])
    AS u (id, claim, state, made, next_at, finished_at, outcome, status, host, ms, endpoint_id)
LEFT JOIN lane ON lane.endpoint_id = u.endpoint_id
WHERE h.id = u.id AND h.id = ANY(%s::bigint[]) AND h.id BETWEEN %s AND %s AND CASE
    WHEN u.claim > {BY_CURSOR} THEN h.claim = u.claim AND {lane_queries.STATE_OF_FOUND} = 'sending'
    WHEN {lane_queries.STATE_OF_FOUND} <> 'queued' THEN false
    WHEN lane.cursor IS NOT NULL THEN lane.cursor >= h.id
    ELSE COALESCE(({lane_queries.newest_lane("l.owner = %s AND l.cursor >= h.id", "h.endpoint_id")}), false) END
RETURNING h.id
"""
COLUMNS = (
    "hook_id, number, trigger, started_at, url, address, request_headers, status, response_headers, response_body, "
    "response_size, outcome, side, error, name_ms, connect_ms, tls_ms, first_byte_ms, total_ms"
)
COPY_ATTEMPTS = f"COPY hooks_attempt ({COLUMNS}) FROM STDIN"
# Attempts that are already recorded, and attempts of deleted hooks, are not written.
IS_RECORDED_OR_DELETED = """
SELECT EXISTS (SELECT 1 FROM hooks_attempt WHERE hook_id = %s AND number = %s AND started_at = %s)
OR NOT EXISTS (SELECT 1 FROM hooks_hook WHERE id = %s)
"""
# The time of an endpoint's first failure after its last success; written only if it changes. Attempts during a
# verification are excluded: they are sent to a bin. Also those of removed endpoints, which may be reported later.
# Rows are locked in the order of their keys, as by those that stop or delete all endpoints of an account.
UPDATE_FAILING_SINCE = f"""
WITH changed AS (
    SELECT e.id, u.since
    FROM hooks_endpoint e JOIN unnest(%s::bigint[], %s::timestamptz[]) AS u (id, since) ON e.id = u.id
    WHERE e.id = ANY(%s) AND (e.failing_since IS NULL) <> (u.since IS NULL)
    AND ({destination.is_overridden_sql()}) IS NOT TRUE AND e.removed_at IS NULL
    ORDER BY e.id FOR NO KEY UPDATE OF e
)
UPDATE hooks_endpoint e SET failing_since = changed.since FROM changed WHERE e.id = changed.id
"""


def record_attempts(
    session: psycopg.Connection[Any],
    results: Sequence[AttemptResult],
    *,
    owner: int | None = None,
    places: Places | None = None,
) -> Counter[metrics.Series]:
    """Write the attempts and change their hooks; returns the counts for hooks/metrics.py.

    `owner` is the dispatcher that has claimed first attempts by their lanes' cursors, `places` where it knows lanes to
    be. A hook that was claimed again or cancelled meanwhile keeps its state: its lane's owner, its claim number or its
    state no longer matches. Its attempt was made and is written, once.
    """
    commits = session.info.transaction_status == TransactionStatus.IDLE  # not in a transaction of the caller
    with session.transaction(), session.cursor() as cursor:
        cursor.execute(UPDATE_HOOKS, parameters(results, owner, places or {}))
        updated = {row[0] for row in cursor.fetchall()}
        late = [
            result
            for result in results
            if result.hook.id not in updated and not is_recorded_or_deleted(cursor, result)
        ]
        recorded = [result for result in results if result.hook.id in updated] + late
        if recorded:
            with cursor.copy(COPY_ATTEMPTS) as copy:
                copy.write("".join([copy_text.line(result) for result in recorded]))
        if since := failing_since(results):
            cursor.execute(UPDATE_FAILING_SINCE, [list(since), list(since.values()), list(since)])
        statistics.count_results(cursor, (result for result in results if result.hook.id in updated))
        began_commit = time.perf_counter()
    seconds = [time.perf_counter() - began_commit] if commits else []
    counted: Counter[metrics.Series] = Counter(
        (metrics.ATTEMPTS, result.response.outcome.value) for result in recorded
    )
    counted.update(
        (metrics.FINISHED, result.state.value)
        for result in results
        if result.finished_at and result.hook.id in updated
    )
    counted.update(metrics.observed(metrics.COMMIT, seconds))
    return counted


def parameters(
    results: Sequence[AttemptResult], owner: int | None, places: Places
) -> list[list[str] | str | int | None]:
    """Returns the parameters of UPDATE_HOOKS: places, owner, its columns, the ids again, their bounds, the owner."""
    columns = copy_text.columns(results)
    ids = [result.hook.id for result in results]
    lanes = {result.hook.endpoint_id for result in results}
    known = [place for lane in lanes if (place := places.get(lane))]
    return [known, owner, *columns, columns[0], min(ids), max(ids), owner]


def is_recorded_or_deleted(cursor: psycopg.Cursor[Any], result: AttemptResult) -> bool:
    hook = result.hook
    row = cursor.execute(
        IS_RECORDED_OR_DELETED, [hook.id, hook.attempts_made + 1, result.started_at, hook.id]
    ).fetchone()
    return bool(row and row[0])


def failing_since(results: Sequence[AttemptResult]) -> dict[int, datetime | None]:
    """Returns for each endpoint the start of its first failed attempt in this batch; None if a success follows it.

    Simulations are excluded: they are often sent to another URL.
    """
    found: dict[int, datetime | None] = {}
    for result in results:
        if result.hook.simulated:
            continue
        lane, is_ok = result.hook.endpoint_id, result.response.outcome == Outcome.OK
        if is_ok:
            found[lane] = None
        elif lane not in found:
            found[lane] = result.started_at
    return found
