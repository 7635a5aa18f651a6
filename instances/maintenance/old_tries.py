"""Retention of the log of tries, and of failed messages: both are deleted after HOOKS_KEEP_DAYS.

In small transactions, so that the sender waits for none of them. The transaction that deletes failed messages also adds
their number to OutgoingQueue.removed, so `manage.py messages check` is correct at any time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from instances.models import OutgoingMessage, OutgoingQueue, SendingTry

BATCH = 2_000  # rows deleted by one transaction
RUN_SECONDS = 600.0  # a run ends after this; the next one continues

# In the order of the index instances_try_old; the tries of a message that still waits are deleted too.
DELETE_TRIES = """
    DELETE FROM {table} WHERE id = ANY (ARRAY(
        SELECT id FROM {table} WHERE started_at < %s ORDER BY started_at LIMIT %s
    ))
"""
# SKIP LOCKED: a resend that has locked a message keeps it.
DELETE_FAILED = """
    DELETE FROM {table} WHERE id = ANY (ARRAY(
        SELECT id FROM {table} WHERE failed_at < %s ORDER BY failed_at LIMIT %s
        FOR UPDATE SKIP LOCKED
    )) RETURNING instance_id
"""


def drop_old(seconds: float = RUN_SECONDS) -> str:
    """Delete old tries and failed messages for at most `seconds`; returns a summary for the task's result."""
    ends = time.monotonic() + seconds
    before = timezone.now() - timedelta(days=settings.HOOKS_KEEP_DAYS)
    tries = drop_in_portions(delete_tries, before, ends)
    messages = drop_in_portions(delete_failed, before, ends)
    return f"{tries} tries and {messages} failed messages dropped"


def drop_in_portions(delete: Callable[[datetime], int], before: datetime, ends: float) -> int:
    """Call `delete` until nothing is left, or until `ends` of time.monotonic(); returns how many rows it deleted."""
    dropped = 0
    while time.monotonic() < ends:
        began = time.monotonic()
        deleted = delete(before)
        dropped += deleted
        if deleted < BATCH:
            break
        time.sleep(min(time.monotonic() - began, 1.0))  # leaves half of the disk's time to others
    return dropped


@transaction.atomic
def delete_tries(before: datetime) -> int:
    """Delete up to BATCH tries that started before this time; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")  # a transaction lost in a crash is repeated
        cursor.execute(DELETE_TRIES.format(table=SendingTry._meta.db_table), [before, BATCH])
        return cursor.rowcount


@transaction.atomic
def delete_failed(before: datetime) -> int:
    """Delete up to BATCH messages that failed before this time, and count them as removed; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(DELETE_FAILED.format(table=OutgoingMessage._meta.db_table), [before, BATCH])
        removed = Counter(row[0] for row in cursor.fetchall())
    for key in sorted(removed):  # in this order, as the sender's recording locks queues
        OutgoingQueue.objects.filter(pk=key).shorten(0, removed=removed[key])
    return removed.total()
