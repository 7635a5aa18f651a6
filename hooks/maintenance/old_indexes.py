"""Builds the indexes of the hooks and attempts from before partitions, which an upgrade leaves to the running site.

Until an index is built, looks that need it read all those hooks: the log's filters by message, chat and outcome, and
webhookStatus. Each is built concurrently: nothing waits for it. An interrupted run is continued by the next one.
"""

from __future__ import annotations

import logging
import time

import psycopg
from django.db import OperationalError, ProgrammingError, connection

from hooks.sql import partitions
from hooks.sql.partitioned_index import MissingIndex, missing_indexes

log = logging.getLogger(__name__)

# One run at a time. Never waited for: CREATE INDEX CONCURRENTLY waits for all statements, so also for one that waits.
LOCK = 0x686B_0013
LOCK_MS = 200  # those who use the partition wait behind the one who attaches an index
TRIES = 50
PAUSE = 0.2  # s between two tries


def build() -> str:
    """Build what is missing, one index after the other; returns a summary. A schedule calls it every ten minutes."""
    with connection.cursor() as cursor:
        found = [
            missing
            for table in partitions.TABLES
            for missing in missing_indexes(cursor, table)
            if missing.is_of_legacy
        ]
        if not found:
            return "no index is missing"
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return "another run builds the missing indexes"
    try:
        return f"{sum(build_one(missing) for missing in found)} of {len(found)} missing indexes built"
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def build_one(missing: MissingIndex) -> bool:
    """Returns False if the partition was dropped meanwhile, or is in use without a pause."""
    began = time.monotonic()
    try:
        with connection.cursor() as cursor:
            missing.build(cursor)
    except ProgrammingError as error:
        if not isinstance(error.__cause__, psycopg.errors.UndefinedTable):
            raise
        return False
    is_attached = attach(missing)
    log.info(
        "indexes: %s built in %.0f s%s",
        missing.own_name,
        time.monotonic() - began,
        "" if is_attached else "; it can't be attached now, and the next run tries again",
    )
    return is_attached


def attach(missing: MissingIndex) -> bool:
    for _ in range(TRIES):
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = '{LOCK_MS}ms'")
                try:
                    missing.attach(cursor)
                finally:
                    cursor.execute("RESET lock_timeout")
            return True
        except OperationalError as error:
            if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                raise
            time.sleep(PAUSE)
    return False
