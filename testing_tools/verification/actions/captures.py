"""Writes to captures: store, trim, expire, annotate, delete and restore.

Storing a capture is one statement, because a running verification may receive hundreds of hooks a second.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from testing_tools.verification import responses
from testing_tools.verification.models import (
    BODY_LIMIT,
    KEEP_FOR,
    KEEP_NEWEST,
    Bin,
    Capture,
    CaptureQuerySet,
    Share,
    new_capture_id,
)
from testing_tools.verification.reading.recognition import recognise

# A full bin is trimmed by one DELETE per this many requests.
TRIM_EVERY = 50
# Deleted captures can be restored for this long.
UNDO_FOR = timedelta(minutes=10)
# The UPDATE increases the number and holds the row lock until the capture is committed. So numbers are gapless and
# become visible in order: a page that requests "greater than n" never misses a capture that was written earlier and
# committed later.
CAPTURE = """
    WITH numbered AS (
        UPDATE testing_tools_bin SET captured = captured + 1 WHERE key = %(key)s RETURNING *
    ), kept AS (
        INSERT INTO testing_tools_capture (
            bin_id, number, public_id, at, method, path, query, http_version, headers, body, size, too_large,
            family, label, summary, attempt, remote_address, read_at, note, status, answer_note
        )
        SELECT
            id, captured, %(public_id)s, clock_timestamp(), %(method)s, %(path)s, %(query)s, %(http_version)s,
            %(headers)s::jsonb, %(body)s, %(size)s, %(too_large)s,
            %(family)s, %(label)s, %(summary)s, %(attempt)s, %(remote_address)s::inet, NULL, '',
            CASE WHEN %(too_large)s THEN 413
                 WHEN %(requested_status)s::int IS NOT NULL THEN %(requested_status)s::int
                 WHEN captured <= fail_through THEN %(failure_status)s
                 ELSE answer_status END,
            CASE WHEN %(too_large)s THEN 'too large'
                 WHEN %(requested_status)s::int IS NOT NULL THEN 'as the URL asks'
                 WHEN captured <= fail_through
                 THEN 'configured failure ' || fail_first - (fail_through - captured) || ' of ' || fail_first
                 WHEN answer_delay > 0 THEN 'after ' || answer_delay || ' s'
                 ELSE '' END
        FROM numbered
        RETURNING id AS capture_id, status
    )
    SELECT
        id, captured, capture_id, status, answer_headers::text, answer_body,
        CASE WHEN %(too_large)s OR %(requested_status)s::int IS NOT NULL THEN 0 ELSE answer_delay END,
        status = answer_status AND NOT %(too_large)s AND %(requested_status)s::int IS NULL AND captured > fail_through
    FROM numbered, kept
"""


class CaptureResult(NamedTuple):
    """A stored request and the response to send; `delay` in seconds.

    `is_configured`: the response is the owner's, not a configured failure or a status from the URL.
    """

    bin_id: int
    number: int
    capture_id: int
    status: int
    headers: list[list[str]]
    body: str
    delay: float
    is_configured: bool


def capture(
    key: str,
    *,
    method: str,
    path: str = "",
    query: str = "",
    http_version: str = "",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    size: int | None = None,
    remote_address: str | None = None,
) -> CaptureResult | None:
    """Store one request; returns the response to send, or None if no bin has this key.

    `headers` are [(name, value), …] in the order received. `size` is the body's size in bytes if it is larger than
    `body`; over BODY_LIMIT the row has no body and the response is 413.
    """
    size = len(body) if size is None else size
    too_large = size > BODY_LIMIT
    body = b"" if too_large else body
    known = recognise(body)
    values: dict[str, Any] = {
        "key": key,
        "public_id": new_capture_id(),
        "method": clean(method)[:20],
        "path": clean(path),
        "query": clean(query),
        "http_version": clean(http_version)[:10],
        "headers": json.dumps([[clean(name), clean(value)] for name, value in headers]),
        "body": body,
        "size": size,
        "too_large": too_large,
        "family": known.family,
        "label": "Too large" if too_large else known.label,
        "summary": known.summary,
        "attempt": next(
            (clean(value)[:20] for name, value in headers if name.lower() == "webhook-attempt"), ""
        ),
        "remote_address": remote_address,
        "requested_status": responses.status_in_path(path),
        "failure_status": responses.FAILURE_STATUS,
    }
    with connection.cursor() as cursor:
        cursor.execute(CAPTURE, values)
        row = cursor.fetchone()
    if row is None:
        return None
    result = CaptureResult._make((*row[:4], json.loads(row[4]), *row[5:]))
    if result.number > KEEP_NEWEST and result.number % TRIM_EVERY == 0:
        drop(result.bin_id, which=Q(number__lte=result.number - KEEP_NEWEST))
    return result


def record_no_delay(result: CaptureResult) -> None:
    """Record that the capture's response was sent without the configured delay."""
    Capture.objects.filter(pk=result.capture_id).update(answer_note=responses.TOO_MANY_DELAYED)


def clean(text: str) -> str:
    """Returns `text` without NULs and lone surrogates, which PostgreSQL cannot store."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


@transaction.atomic
def drop(bin_id: int, *, which: Q) -> int:
    """Remove captures of one bin and count them as dropped; returns how many.

    The bin's row is locked first: two concurrent calls would count the same capture twice, or deadlock. Captures that
    the owner had deleted are removed without being counted.
    """
    if not Bin.objects.select_for_update().filter(pk=bin_id).exists():
        return 0
    Capture.objects.filter(which, bin_id=bin_id, deleted_at__isnull=False).delete()
    removed, _ = Capture.objects.filter(which, bin_id=bin_id).delete()
    Bin.objects.filter(pk=bin_id).update(dropped=F("dropped") + removed)
    return removed


def delete_expired_captures(now: datetime | None = None) -> int:
    """Remove captures older than 7 days from all bins; returns how many. Run every hour.

    Also removes deleted captures that can no longer be restored, and links that expired more than 7 days ago.
    """
    now = now or timezone.now()
    Capture.objects.filter(deleted_at__lt=now - UNDO_FOR).delete()
    Share.objects.filter(expires_at__lt=now - KEEP_FOR).delete()
    old = Q(at__lt=now - KEEP_FOR)
    bins = list(Capture.objects.filter(old).order_by().values_list("bin_id", flat=True).distinct())
    return sum(drop(bin_id, which=old) for bin_id in bins)


@transaction.atomic
def mark_read(capture: Capture) -> None:
    """Record when a user first opened the capture; later calls change nothing."""
    if capture.read_at is None:
        capture.read_at = timezone.now()
        capture.save(update_fields=["read_at"])


@transaction.atomic
def write_note(capture: Capture, *, text: str) -> None:
    """Set the note of a capture, cut to 500 characters; empty removes it.

    It has no audit row and so no `acting_user`: a note is a bookmark of its reader and changes no behaviour.
    """
    capture.note = clean(text).strip()[:500]
    capture.save(update_fields=["note"])


@transaction.atomic
def delete(bin: Bin, *, captures: CaptureQuerySet, acting_user: User | None) -> tuple[datetime, int]:
    """Delete these captures of the bin; returns the time to pass to restore(), and how many were deleted."""
    at = timezone.now()
    count = captures.filter(deleted_at=None).update(deleted_at=at)
    if count:
        audit.record(bin, AuditAction.CAPTURES_DELETED, acting_user=acting_user, requests=count)
    return at, count


@transaction.atomic
def restore(bin: Bin, *, at: datetime, acting_user: User | None) -> int:
    """Restore the captures that were deleted at that time; returns how many, 0 after UNDO_FOR."""
    if at < timezone.now() - UNDO_FOR:
        return 0
    count = bin.captures.filter(deleted_at=at).update(deleted_at=None)
    if count:
        audit.record(bin, AuditAction.CAPTURES_RESTORED, acting_user=acting_user, requests=count)
    return count
