"""Retention: drops old hooks partition by partition, and deletes skipped hooks and bodies in small transactions.

The age of a hook counts from its event (settings.HOOKS_KEEP_…): skipped hooks are deleted first, then the bodies of
all hooks, then the hooks with their attempts, when all of their partition are old enough (old_partitions.py).
Unfinished hooks are never changed: of a partition with one of them, and of the first partition of an older
installation, the old hooks are deleted in small transactions. Each transaction that deletes hooks also adds their
number to Tally.dropped, so `manage.py hooks check` is correct at any time.
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

from hooks.log import statistics
from hooks.maintenance import old_partitions
from hooks.models import OPEN_JOBS, Hook, Redelivery, RetentionMark
from hooks.sql import partitions
from hooks.sql.lane_queries import MAX_ID
from hooks.sql.partitions import Partition

log = logging.getLogger(__name__)

WINDOW = 20_000  # ids read by one query
BATCH = 2_000  # hooks changed by one transaction: 20 to 60 ms
RUN_SECONDS = 600.0  # a run ends after this; the next one continues
# The search for bodies restarts at the oldest hook this often: some hooks finish late.
RESTART_AFTER = timedelta(days=1)

# Ids are in order of age, except for hooks of the same moment: a window without an old hook is the end.
FIND_HOOKS = """
SELECT id, endpoint_id, state, created_at < %s, body_dropped_at IS NOT NULL FROM hooks_hook
WHERE id > %s AND id < %s ORDER BY id LIMIT %s
"""
FIND_SKIPPED = "SELECT id, endpoint_id FROM hooks_hook WHERE state = 'skipped' AND created_at < %s LIMIT %s"
# SKIP LOCKED: a resend that has locked a row keeps the hook, and nothing waits for a row lock here. `= ANY (ARRAY(…))`
# finds rows by their index, whatever the statistics are; `IN` may read the whole table with those of an empty one.
DROP_HOOKS = """
WITH old AS (
    SELECT id FROM hooks_hook WHERE id = ANY(%(ids)s) AND state IN ('delivered', 'failed', 'skipped', 'cancelled')
    ORDER BY id FOR UPDATE SKIP LOCKED
), attempts AS (
    DELETE FROM hooks_attempt WHERE hook_id = ANY (ARRAY(SELECT id FROM old))
), deleted AS (
    DELETE FROM hooks_hook WHERE id = ANY (ARRAY(SELECT id FROM old)) RETURNING 1
)
SELECT count(*) FROM deleted
"""
# The last statement of a transaction with hooks of one endpoint only: emit() waits for the lock on the tally, so the
# transaction holds just one such lock, and only while it commits.
COUNT_DROPPED = "UPDATE hooks_tally SET dropped = dropped + %s WHERE endpoint_id = %s"
DROP_BODIES = """
WITH old AS (
    SELECT id FROM hooks_hook
    WHERE id = ANY(%(ids)s) AND body_dropped_at IS NULL AND state IN ('delivered', 'failed', 'skipped', 'cancelled')
    ORDER BY id FOR UPDATE SKIP LOCKED
), responses AS (
    UPDATE hooks_attempt SET response_body = ''
    WHERE hook_id = ANY (ARRAY(SELECT id FROM old)) AND response_body <> ''
), emptied AS (
    UPDATE hooks_hook SET body = '', body_dropped_at = clock_timestamp()
    WHERE id = ANY (ARRAY(SELECT id FROM old)) RETURNING 1
)
SELECT count(*) FROM emptied
"""
FINISHED = {"delivered", "failed", "skipped", "cancelled"}


class Run:
    """One run with a time limit. It sleeps as long as it works, which leaves half of the disk's time to deliveries."""

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.ends

    def change(self, sql: str, ids: list[int], endpoint: int | None = None) -> int:
        """Run one small transaction; returns the number of changed hooks. With `endpoint`, they count as dropped."""
        began = time.monotonic()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")  # a transaction lost in a crash is repeated
            if endpoint is not None:
                cursor.execute(partitions.WAIT_FOR_DROP)
            cursor.execute(sql, {"ids": ids})
            changed: int = cursor.fetchone()[0]
            if endpoint is not None and changed:
                cursor.execute(COUNT_DROPPED, [changed, endpoint])
        time.sleep(min(time.monotonic() - began, 1.0))
        return changed


def drop_old(seconds: float = RUN_SECONDS) -> str:
    """Delete old hooks, bodies and jobs for at most `seconds`; returns a summary. A schedule calls it every hour."""
    now, run = timezone.now(), Run(seconds)
    skipped = drop_skipped(run, now - timedelta(days=settings.HOOKS_KEEP_SKIPPED_DAYS))
    hooks = drop_hooks(run, now - timedelta(days=settings.HOOKS_KEEP_DAYS))
    bodies = drop_bodies(run, now - timedelta(days=settings.HOOKS_KEEP_BODIES_DAYS))
    jobs, _ = (
        Redelivery.objects.exclude(state__in=OPEN_JOBS)
        .filter(created_at__lt=now - timedelta(days=settings.HOOKS_KEEP_DAYS))
        .delete()
    )
    summary = f"{hooks} hooks, {skipped} skipped hooks and {bodies} bodies dropped by age"
    if hooks or skipped or bodies or jobs:
        log.info("retention: %s", summary)
    return summary


def drop_skipped(run: Run, before: datetime) -> int:
    dropped = 0
    while not run.is_over:
        rows = query(FIND_SKIPPED, [before, WINDOW])
        deleted = drop_by_endpoint(run, [(row[0], row[1]) for row in rows])
        dropped += deleted
        if len(rows) < WINDOW or not deleted:
            break
    return dropped


def drop_hooks(run: Run, before: datetime) -> int:
    """Drop the partitions that are old as a whole; of those that can't be dropped yet, delete the old hooks."""
    dropped = 0 if run.is_over else old_partitions.drop(before)
    with connection.cursor() as cursor:
        left = partitions.existing(cursor)
    for partition in left:
        if partition.is_legacy or partition.ends_on <= before.date():
            dropped += drop_hooks_of(partition, run, before)
    # Counts are deleted when no older hook is left.
    oldest = Hook.objects.order_by("pk").values_list("created_at", flat=True).first() or before
    while not run.is_over and statistics.drop_before(min(oldest, before)) == statistics.DROP_BATCH:
        pass
    return dropped


def drop_hooks_of(partition: Partition, run: Run, before: datetime) -> int:
    dropped, after = 0, partition.start - 1
    while not run.is_over:
        rows = query(FIND_HOOKS, [before, after, partition.end, WINDOW])
        old = [row for row in rows if row[3]]
        if not old:
            break
        dropped += drop_by_endpoint(run, [(row[0], row[1]) for row in old if row[2] in FINISHED])
        after = rows[-1][0]
    return dropped


def drop_by_endpoint(run: Run, hooks: list[tuple[int, int]]) -> int:
    """Delete these hooks (id, endpoint) endpoint by endpoint, until the run is over; returns how many."""
    by_endpoint: dict[int, list[int]] = {}
    for key, endpoint in hooks:
        by_endpoint.setdefault(endpoint, []).append(key)
    dropped = 0
    for endpoint, ids in by_endpoint.items():
        for batch in batches(ids):
            if run.is_over:
                return dropped
            dropped += run.change(DROP_HOOKS, batch, endpoint)
    return dropped


def drop_bodies(run: Run, before: datetime) -> int:
    """Empty old bodies from where the last run ended; once a day from the start, for hooks that finished late."""
    mark, _ = RetentionMark.objects.get_or_create(pk=1)
    if timezone.now() - mark.began_at > RESTART_AFTER:
        mark.bodies_up_to, mark.began_at = 0, timezone.now()
    dropped = 0
    while not run.is_over:
        rows = query(FIND_HOOKS, [before, mark.bodies_up_to, MAX_ID, WINDOW])
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
