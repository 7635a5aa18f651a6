"""Drops the partitions whose hooks are all older than the setting, however many hooks they have, within milliseconds.

1. The hooks of each endpoint are counted and the numbers stored (DroppedCount), without a lock.
2. One transaction detaches the partition of both tables and makes the numbers count (DroppedPartition.at). It waits for
   its locks at most LOCK_MS at a time, because others wait behind it, and tries again.
3. The numbers are added to the tallies in portions, and the tables, which are no longer used, are dropped.

So `manage.py hooks check` is correct at any time, and a run that dies in between is continued by the next one. While 1
and 2 run, no other task deletes hooks (partitions.DROP_LOCK). A partition with an unfinished hook stays, and retention
deletes the others of its hooks in portions.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import OperationalError, connection, transaction
from django.utils import timezone

from hooks.models import UNFINISHED, DroppedPartition
from hooks.sql import partitions
from hooks.sql.partitions import Partition

log = logging.getLogger(__name__)

LOCK_MS = 20
TRIES = 100
PAUSE = 0.2  # s between two tries
TALLIES = 500  # changed by one transaction; events of these endpoints wait for it, about 5 ms
# Ids are in order of age but for minutes: clocks of machines differ, and long transactions commit late.
NEWEST = 1000

STORE_COUNTS = """
INSERT INTO hooks_droppedcount (partition_id, endpoint_id, number)
SELECT %s, endpoint_id, count(*) FROM {partition} GROUP BY endpoint_id
"""
# Rows are locked in the order of their keys, as by all who lock several.
ADD_COUNTS = """
WITH taken AS (
    DELETE FROM hooks_droppedcount WHERE id = ANY (ARRAY(
        SELECT id FROM hooks_droppedcount WHERE partition_id = %s ORDER BY endpoint_id LIMIT %s
    )) RETURNING endpoint_id, number
), locked AS (
    SELECT t.endpoint_id, taken.number FROM hooks_tally t JOIN taken ON taken.endpoint_id = t.endpoint_id
    ORDER BY t.endpoint_id FOR NO KEY UPDATE OF t
), added AS (
    UPDATE hooks_tally t SET dropped = t.dropped + locked.number FROM locked WHERE t.endpoint_id = locked.endpoint_id
)
SELECT count(*) FROM taken
"""


def drop(before: datetime) -> int:
    """Drop the partitions with hooks from before this time only; returns the number of their hooks."""
    for left in DroppedPartition.objects.order_by("pk"):
        finish(left)
    with connection.cursor() as cursor:
        found = [partition for partition in partitions.existing(cursor) if is_over(partition, before)]
    return sum(drop_one(partition) for partition in found)


def is_over(partition: Partition, before: datetime) -> bool:
    """Returns whether all hooks of a partition are older: it is not in use, and its newest ones are."""
    if partition.ends_on > before.date():
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value FROM hooks_hook_id_seq")
        if cursor.fetchone()[0] < partition.end:
            return False
        cursor.execute(
            f"SELECT max(created_at) FROM (SELECT created_at FROM {partition.of('hooks_hook')} ORDER BY id DESC"
            f" LIMIT {NEWEST}) AS newest"
        )
        newest: datetime | None = cursor.fetchone()[0]
        return newest is None or newest < before


def drop_one(partition: Partition) -> int:
    """Drop a partition unless one of its hooks is unfinished; returns the number of its hooks, 0 if it stays."""
    if has_unfinished(partition):
        return 0
    with no_other_deletion():
        with transaction.atomic(), connection.cursor() as cursor:
            dropped, _ = DroppedPartition.objects.get_or_create(name=partition.suffix)
            dropped.counts.all().delete()  # of a run that died
            cursor.execute(STORE_COUNTS.format(partition=partition.of("hooks_hook")), [dropped.pk])
        number = sum(dropped.counts.values_list("number", flat=True))
        for _ in range(TRIES):
            try:
                if not detach(partition, dropped):
                    dropped.delete()
                    return 0
                break
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", "") != "55P03":  # lock_not_available
                    raise
                time.sleep(PAUSE)
        else:
            log.warning(
                "retention: the hooks of %s can't be dropped yet: a database session has used the table for %.0f s; "
                "the next run tries again",
                partition.suffix,
                TRIES * PAUSE,
            )
            return 0
    finish(dropped)
    log.info("retention: the partition %s with %d hooks was dropped", partition.suffix, number)
    return number


def detach(partition: Partition, dropped: DroppedPartition) -> bool:
    """Take the partition out of both tables; returns False if one of its hooks was resent meanwhile."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_MS}ms'")
        cursor.execute(f"LOCK TABLE ONLY {', ONLY '.join(partitions.TABLES)} IN ACCESS EXCLUSIVE MODE")
        if has_unfinished(partition):
            return False
        for table in partitions.TABLES:
            cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {partition.of(table)}")
        dropped.at = timezone.now()
        dropped.save()
        return True


def has_unfinished(partition: Partition) -> bool:
    """Returns whether a hook of the partition waits or is being sent. One probe of the index for each state."""
    probes = [
        f"EXISTS (SELECT FROM {partition.of('hooks_hook')} WHERE state = '{state}')" for state in UNFINISHED
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {' OR '.join(probes)}")
        found: bool = cursor.fetchone()[0]
    return found


def finish(dropped: DroppedPartition) -> None:
    """Add the numbers of a detached partition to the tallies, and drop its tables. Forget one that was not detached."""
    if dropped.at is not None:
        while add_counts(dropped):
            pass
        with connection.cursor() as cursor:
            for table in partitions.TABLES:
                cursor.execute(f"DROP TABLE IF EXISTS {table}_{dropped.name}")
    dropped.delete()


@transaction.atomic
def add_counts(dropped: DroppedPartition) -> int:
    with connection.cursor() as cursor:
        cursor.execute(ADD_COUNTS, [dropped.pk, TALLIES])
        taken: int = cursor.fetchone()[0]
    return taken


@contextmanager
def no_other_deletion() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [partitions.DROP_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [partitions.DROP_LOCK])
