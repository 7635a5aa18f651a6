"""Retention: what is old enough leaves the log, in bulk, a small transaction at a time.

By the age of a hook since its event (settings.HOOKS_KEEP_…): skipped hooks go first, then the bodies of all, then
the rows with their attempts. A hook that is not finished is never touched. Each transaction that deletes hooks also
raises their Tally.dropped by as many, so that `manage.py hooks check` holds at every moment.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from hooks.models import OPEN_JOBS, Redelivery, RetentionMark

log = logging.getLogger(__name__)

WINDOW = 20_000  # ids that are looked at in one query
BATCH = 2_000  # hooks that one transaction changes: 20 to 60 ms
RUN_SECONDS = 600.0  # a run ends after this; the next one continues
FROM_THE_START = timedelta(
    days=1
)  # so often the bodies are looked for from the oldest hook on: some finish late

# Ids lie in the order of age, but for hooks of one moment: a window without an old one is the end.
LOOK = """
SELECT id, endpoint_id, state, created_at < %s, body_dropped_at IS NOT NULL FROM hooks_hook
WHERE id > %s ORDER BY id LIMIT %s
"""
LOOK_SKIPPED = "SELECT id, endpoint_id FROM hooks_hook WHERE state = 'skipped' AND created_at < %s LIMIT %s"
# SKIP LOCKED: a resend that holds one of these rows wins, and no process waits for a row here.
DROP = """
WITH old AS (
    SELECT id FROM hooks_hook WHERE id = ANY(%(ids)s) AND state IN ('delivered', 'failed', 'skipped', 'cancelled')
    ORDER BY id FOR UPDATE SKIP LOCKED
), attempts AS (
    DELETE FROM hooks_attempt WHERE hook_id IN (SELECT id FROM old)
), gone AS (
    DELETE FROM hooks_hook WHERE id IN (SELECT id FROM old) RETURNING 1
)
SELECT count(*) FROM gone
"""
# A transaction has the hooks of one endpoint alone and counts last: it holds the lock of one tally, which emit()
# waits for, and only for the length of its commit.
COUNT_DROPPED = "UPDATE hooks_tally SET dropped = dropped + %s WHERE endpoint_id = %s"
DROP_BODIES = """
WITH old AS (
    SELECT id FROM hooks_hook
    WHERE id = ANY(%(ids)s) AND body_dropped_at IS NULL AND state IN ('delivered', 'failed', 'skipped', 'cancelled')
    ORDER BY id FOR UPDATE SKIP LOCKED
), answers AS (
    UPDATE hooks_attempt SET response_body = '' WHERE hook_id IN (SELECT id FROM old) AND response_body <> ''
), emptied AS (
    UPDATE hooks_hook SET body = '', body_dropped_at = clock_timestamp() WHERE id IN (SELECT id FROM old) RETURNING 1
)
SELECT count(*) FROM emptied
"""
FINISHED = {"delivered", "failed", "skipped", "cancelled"}


class Run:
    """One run: when it is to end, and that it rests as long as it works, so that deliveries have the disk too."""

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.ends

    def change(self, sql: str, ids: list[int], endpoint: int | None = None) -> int:
        """One small transaction; how many hooks it has changed. With `endpoint`, they count as dropped."""
        began = time.monotonic()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")  # lost by a crash, it is done again
            cursor.execute(sql, {"ids": ids})
            changed: int = cursor.fetchone()[0]
            if endpoint is not None and changed:
                cursor.execute(COUNT_DROPPED, [changed, endpoint])
        time.sleep(min(time.monotonic() - began, 1.0))
        return changed


def drop_old(seconds: float = RUN_SECONDS) -> str:
    """Drop what is old, for so many seconds at most; in words, how much it was. A schedule calls it each hour."""
    now, run = timezone.now(), Run(seconds)
    skipped = drop_skipped(run, now - timedelta(days=settings.HOOKS_KEEP_SKIPPED_DAYS))
    hooks = drop_hooks(run, now - timedelta(days=settings.HOOKS_KEEP_DAYS))
    bodies = drop_bodies(run, now - timedelta(days=settings.HOOKS_KEEP_BODIES_DAYS))
    jobs, _ = (
        Redelivery.objects.exclude(state__in=OPEN_JOBS)
        .filter(created_at__lt=now - timedelta(days=settings.HOOKS_KEEP_DAYS))
        .delete()
    )
    words = f"{hooks} hooks, {skipped} skipped ones and {bodies} bodies dropped by age"
    if hooks or skipped or bodies or jobs:
        log.info("retention: %s", words)
    return words


def drop_skipped(run: Run, before: datetime) -> int:
    dropped = 0
    while not run.is_over:
        rows = query(LOOK_SKIPPED, [before, WINDOW])
        now_gone = drop_each(run, [(row[0], row[1]) for row in rows])
        dropped += now_gone
        if len(rows) < WINDOW or not now_gone:
            break
    return dropped


def drop_hooks(run: Run, before: datetime) -> int:
    dropped = after = 0
    while not run.is_over:
        rows = query(LOOK, [before, after, WINDOW])
        old = [row for row in rows if row[3]]
        if not old:
            break
        dropped += drop_each(run, [(row[0], row[1]) for row in old if row[2] in FINISHED])
        after = rows[-1][0]
    return dropped


def drop_each(run: Run, hooks: list[tuple[int, int]]) -> int:
    """Delete hooks, given as (id, endpoint), endpoint by endpoint, as many as the run has time for."""
    by_endpoint: dict[int, list[int]] = {}
    for key, endpoint in hooks:
        by_endpoint.setdefault(endpoint, []).append(key)
    dropped = 0
    for endpoint, ids in by_endpoint.items():
        for batch in batches(ids):
            if run.is_over:
                return dropped
            dropped += run.change(DROP, batch, endpoint)
    return dropped


def drop_bodies(run: Run, before: datetime) -> int:
    """From where the last run ended; once a day from the start, for hooks that had not finished in time."""
    mark, _ = RetentionMark.objects.get_or_create(pk=1)
    if timezone.now() - mark.began_at > FROM_THE_START:
        mark.bodies_up_to, mark.began_at = 0, timezone.now()
    dropped = 0
    while not run.is_over:
        rows = query(LOOK, [before, mark.bodies_up_to, WINDOW])
        old = [row[0] for row in rows if row[3] and row[2] in FINISHED and not row[4]]
        for batch in batches(old):
            dropped += run.change(DROP_BODIES, batch)
        young = next((row[0] for row in rows if not row[3]), None)
        mark.bodies_up_to = young - 1 if young else rows[-1][0] if rows else mark.bodies_up_to
        mark.save()
        if young or not rows:
            break
    return dropped


def batches(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


def query(sql: str, values: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()
