"""Retention of stored callbacks: handled ones for HOOKS_KEEP_BODIES_DAYS, failed ones for HOOKS_KEEP_DAYS.

A messenger may repeat a callback for days. If its row is gone, it is handled again and its events are recognised.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from instances.maintenance.old_tries import BATCH, RUN_SECONDS, drop_in_portions
from instances.models import StoredCallback

# In the order of the index instances_callback_old. Waiting callbacks are kept.
DELETE_HANDLED = """
    DELETE FROM {table} WHERE id = ANY (ARRAY(
        SELECT id FROM {table} WHERE received_at < %s AND handled_at IS NOT NULL ORDER BY received_at LIMIT %s
    ))
"""
DELETE_FAILED = """
    DELETE FROM {table} WHERE id = ANY (ARRAY(
        SELECT id FROM {table} WHERE received_at < %s AND failed_at < %s ORDER BY received_at LIMIT %s
        FOR UPDATE SKIP LOCKED
    ))
"""


def drop_old(seconds: float = RUN_SECONDS) -> str:
    """Delete old callbacks for at most `seconds`; returns a summary for the task's result."""
    ends = time.monotonic() + seconds
    now = timezone.now()
    handled = drop_in_portions(delete_handled, now - timedelta(days=settings.HOOKS_KEEP_BODIES_DAYS), ends)
    failed = drop_in_portions(delete_failed, now - timedelta(days=settings.HOOKS_KEEP_DAYS), ends)
    return f"{handled} handled and {failed} failed callbacks dropped"


@transaction.atomic
def delete_handled(before: datetime) -> int:
    """Delete up to BATCH handled callbacks that were received before this time; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")  # a transaction lost in a crash is repeated
        cursor.execute(DELETE_HANDLED.format(table=StoredCallback._meta.db_table), [before, BATCH])
        return cursor.rowcount


@transaction.atomic
def delete_failed(before: datetime) -> int:
    """Delete up to BATCH callbacks that failed before this time; returns how many. One that is retried is kept."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(DELETE_FAILED.format(table=StoredCallback._meta.db_table), [before, before, BATCH])
        return cursor.rowcount
