"""Writes to captures: store, trim, expire, annotate, delete and restore.

Storing a capture is one statement, because a running verification may receive hundreds of hooks a second. What exceeds
the bin's or the account's limits is removed in the same transaction.
"""

import json
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import BigIntegerField, Case, F, Q, Sum, When
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from accounts import audit, quotas
from accounts.actions.share_links import delete_ended_links
from accounts.audit import AuditAction
from accounts.blocking import support_contact
from accounts.models import Account, User
from accounts.quotas import Quota
from chatapi.ui import sizes
from instances.limits import disk_space
from testing_tools.verification import cors, responses
from testing_tools.verification.filters import Filter
from testing_tools.verification.models import (
    BODY_LIMIT,
    KEEP_BYTES,
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
# A request with this many bytes is refused if there is no space for it; smaller ones are always stored.
LARGE = 16 * 1024
# The account's quota is checked for each large request, and each time that a bin has grown by this many bytes.
QUOTA_STEP = 256 * 1024
NOTE_OF_QUOTA = "the account's quota is used up"
VACUUM_AFTER = 64 * 1024 * 1024  # bytes
# The bytes of a capture in SQL. Version 0.1.0 stored only the size of the body.
BYTES = Coalesce(
    "stored_bytes",
    Case(When(too_large=True, then=0), default="size", output_field=BigIntegerField()),
    output_field=BigIntegerField(),
)
# Deleted captures can be restored for this long.
UNDO_FOR = timedelta(minutes=10)
# The UPDATE increases the number and holds the row lock until the capture is committed. So numbers are gapless and
# become visible in order: a page that requests "greater than n" never misses a capture that was written earlier and
# committed later. A CORS preflight is none of the requests that fail first.
CAPTURE = """
    WITH numbered AS (
        UPDATE testing_tools_bin SET captured = captured + 1, stored_bytes = stored_bytes + %(stored_bytes)s,
            fail_through = fail_through + (%(is_preflight)s AND answer_cors AND captured < fail_through)::int
        WHERE key = %(key)s RETURNING *, %(is_preflight)s AND answer_cors AS is_preflight
    ), kept AS (
        INSERT INTO testing_tools_capture (
            bin_id, number, public_id, at, method, path, query, http_version, headers, body, size, too_large,
            stored_bytes, family, label, summary, attempt, remote_address, read_at, note, status, answer_note
        )
        SELECT
            id, captured, %(public_id)s, clock_timestamp(), %(method)s, %(path)s, %(query)s, %(http_version)s,
            %(headers)s::jsonb, %(body)s, %(size)s, %(too_large)s,
            %(stored_bytes)s, %(family)s, %(label)s, %(summary)s, %(attempt)s, %(remote_address)s::inet, NULL, '',
            CASE WHEN %(too_large)s THEN %(refused_status)s
                 WHEN is_preflight THEN %(preflight_status)s
                 WHEN %(requested_status)s::int IS NOT NULL THEN %(requested_status)s::int
                 WHEN captured <= fail_through THEN %(failure_status)s
                 ELSE answer_status END,
            CASE WHEN %(too_large)s THEN %(refused_note)s
                 WHEN is_preflight THEN 'CORS preflight'
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
        CASE WHEN %(too_large)s OR is_preflight OR %(requested_status)s::int IS NOT NULL THEN 0 ELSE answer_delay END,
        status = answer_status AND NOT %(too_large)s AND NOT is_preflight AND %(requested_status)s::int IS NULL
            AND captured > fail_through,
        stored_bytes, answer_cors, is_preflight
    FROM numbered, kept
"""


class Refusal(NamedTuple):
    """Why a body is not stored: the status and the sentence of the response, and the words of the list and the row."""

    status: int
    sentence: str
    label: str
    note: str


class CaptureResult(NamedTuple):
    """A stored request and the response to send; `delay` in seconds.

    `is_configured`: the response is the owner's, not a configured failure or a status from the URL.
    `stored_bytes`: of all captures of the bin. `has_cors`: scripts of any site may read the response. `is_preflight`:
    the request asks for that. `refusal`: why the body was not stored.
    """

    bin_id: int
    number: int
    capture_id: int
    status: int
    headers: list[list[str]]
    body: str
    delay: float
    is_configured: bool
    stored_bytes: int
    has_cors: bool
    is_preflight: bool
    refusal: Refusal | None = None


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
    `body`. The row has no body, and the result has a refusal, if the body is over BODY_LIMIT (413), or if it is large
    and the disk is almost full or the account's quota is used up by other bins (507).
    """
    size = len(body) if size is None else size
    known = recognise(body if size <= BODY_LIMIT else b"")
    request: dict[str, Any] = {
        "key": key,
        "method": clean(method)[:20],
        "path": clean(path),
        "query": clean(query),
        "http_version": clean(http_version)[:10],
        "headers": json.dumps([[clean(name), clean(value)] for name, value in headers]),
        "body": body,
        "size": size,
        "family": known.family,
        "label": known.label,
        "summary": known.summary,
        "attempt": next(
            (clean(value)[:20] for name, value in headers if name.lower() == "webhook-attempt"), ""
        ),
        "remote_address": remote_address,
        "requested_status": responses.status_in_path(path),
        "is_preflight": cors.is_preflight(method, headers),
        "preflight_status": cors.PREFLIGHT_STATUS,
        "failure_status": responses.FAILURE_STATUS,
    }
    refusal = too_large() if size > BODY_LIMIT else None
    if refusal is None and stored_size(request) >= LARGE and disk_space.is_low():
        refusal = disk_full()
    try:
        result = store(request, refusal=refusal)
    except OverQuota as error:
        result = store(request, refusal=Refusal(disk_space.STATUS, str(error), "Not stored", NOTE_OF_QUOTA))
    vacuum_if_due()
    return result


def too_large() -> Refusal:
    words = f"A bin stores bodies of up to {sizes.in_words(BODY_LIMIT)}. The request was recorded without its body."
    return Refusal(413, words, "Too large", "too large")


def disk_full() -> Refusal:
    sentence = disk_space.refusal("the request was recorded without its body")
    return Refusal(
        disk_space.STATUS, sentence[0].upper() + sentence[1:], "Not stored", "the disk is almost full"
    )


@transaction.atomic
def store(request: dict[str, Any], *, refusal: Refusal | None) -> CaptureResult | None:
    """Store a request, without its body if there is a refusal, and remove what exceeds the limits.

    Raises:
        OverQuota: the account's other bins use up its quota, and the request is large.
    """
    if refusal:
        short = stored_size(request) - len(request["body"]) < LARGE
        kept = {} if short else {"headers": "[]", "query": "", "path": request["path"][:2000]}
        request = request | kept | {"body": b"", "label": refusal.label}
    added = stored_size(request)
    values = request | {
        "public_id": new_capture_id(),
        "stored_bytes": added,
        "too_large": refusal is not None,
        "refused_status": refusal.status if refusal else None,
        "refused_note": refusal.note if refusal else "",
    }
    with connection.cursor() as cursor:
        cursor.execute(CAPTURE, values)
        row = cursor.fetchone()
    if row is None:
        return None
    result = CaptureResult._make((*row[:4], json.loads(row[4]), *row[5:], refusal))
    if result.number > KEEP_NEWEST and result.number % TRIM_EVERY == 0:
        drop(result.bin_id, which=Q(number__lte=result.number - KEEP_NEWEST))
    if result.stored_bytes > KEEP_BYTES:
        make_room(result, result.stored_bytes - KEEP_BYTES * 7 // 8)  # a part more, so that it is seldom done
    if added >= LARGE or result.stored_bytes // QUOTA_STEP != (result.stored_bytes - added) // QUOTA_STEP:
        keep_quota(result, may_refuse=added >= LARGE)
    return result


def stored_size(request: dict[str, Any]) -> int:
    """Returns the bytes that a request needs in its row."""
    return len(request["body"]) + len(request["headers"]) + len(request["query"]) + len(request["path"])


def make_room(result: CaptureResult, needed: int) -> int:
    """Remove the oldest captures of the bin, but not the new one, until `needed` bytes are free. Returns the bytes."""
    freed, last = 0, 0
    older = Capture.objects.filter(bin=result.bin_id, number__lt=result.number).order_by("number")
    for number, size in older.values_list("number", BYTES):
        freed, last = freed + size, number
        if freed >= needed:
            break
    if last:
        drop(result.bin_id, which=Q(number__lte=last))
    return freed


def keep_quota(result: CaptureResult, *, may_refuse: bool) -> None:
    """Remove the bin's oldest captures while the account's are over its quota. Raises OverQuota.

    Small captures are not refused. Their bins are checked each QUOTA_STEP bytes, so that they cost no query: an account
    can exceed its quota by that much per bin, and by the requests that it receives at the same moment.
    """
    bin = Bin.objects.select_related("instance__owner", "account").get(pk=result.bin_id)
    account = bin.instance.owner if bin.instance else bin.account
    assert account is not None  # constraint testing_bin_is_somebodys
    used, limit = count_capture_bytes(account), quotas.limit_of(account, CAPTURES.name)
    if used > limit and make_room(result, used - limit) < used - limit and may_refuse:
        raise OverQuota(account, used)


def count_capture_bytes(account: Account) -> int:
    """Returns the bytes of the captures in all bins of the account; two queries, a row for each bin."""
    found = [Bin.objects.filter(account=account), Bin.objects.filter(instance__owner=account)]
    return sum(bins.aggregate(bytes=Sum("stored_bytes"))["bytes"] or 0 for bins in found)


CAPTURES = Quota(
    "captureBytes",
    30,
    "Requests in bins",
    "QUOTA_CAPTURE_BYTES",
    "of requests in bins",
    "Delete requests from bins that you no longer need, and wait ten minutes",
    count_capture_bytes,
    is_bytes=True,
)


class OverQuota(Exception):
    """The captures of the account's other bins use up its quota; str() is the message for the sender."""

    def __init__(self, account: Account, used: int) -> None:
        limit = sizes.in_words(quotas.limit_of(account, CAPTURES.name))
        super().__init__(
            f"The bins of this account store {limit} together, which is its quota, so the request was recorded without "
            f"its body. {CAPTURES.advice}, or ask {support_contact()} for a higher quota."
        )


_removed_bytes = 0
_removed_lock = threading.Lock()


def vacuum_if_due() -> None:
    """Vacuum the captures once this process has removed VACUUM_AFTER bytes.

    The space of removed rows is used again after a vacuum only. Autovacuum starts once a minute at most: until
    then, a bin that takes 10 MB/s lets the table grow by 600 MB, and it never shrinks. Nothing is done if another
    process vacuums (SKIP_LOCKED), nor inside a transaction, where PostgreSQL refuses it.
    """
    global _removed_bytes
    with _removed_lock:
        if _removed_bytes < VACUUM_AFTER or connection.in_atomic_block:
            return
        _removed_bytes = 0
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (SKIP_LOCKED, TRUNCATE false) testing_tools_capture, testing_tools_bin")


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
    global _removed_bytes
    if not Bin.objects.select_for_update().filter(pk=bin_id).exists():
        return 0
    found = Capture.objects.filter(which, bin_id=bin_id)
    bytes = found.aggregate(bytes=Sum(BYTES))["bytes"] or 0
    found.filter(deleted_at__isnull=False).delete()
    removed, _ = found.delete()
    remaining = Greatest(F("stored_bytes") - bytes, 0)
    Bin.objects.filter(pk=bin_id).update(dropped=F("dropped") + removed, stored_bytes=remaining)
    with _removed_lock:
        _removed_bytes += bytes
    return removed


def delete_expired_captures(now: datetime | None = None) -> int:
    """Remove captures older than 7 days from all bins; returns how many. Run every hour.

    Also removes deleted captures that can no longer be restored, and links that expired more than 7 days ago.
    """
    now = now or timezone.now()
    delete_ended_links(Share.objects.all(), now=now)
    drop_from_all_bins(Q(deleted_at__lt=now - UNDO_FOR))
    return drop_from_all_bins(Q(at__lt=now - KEEP_FOR))


def drop_from_all_bins(which: Q) -> int:
    bins = list(Capture.objects.filter(which).order_by().values_list("bin_id", flat=True).distinct())
    return sum(drop(bin_id, which=which) for bin_id in bins)


@transaction.atomic
def mark_read(capture: Capture) -> None:
    """Record when a user first opened the capture; later calls change nothing."""
    if capture.read_at is None:
        capture.read_at = timezone.now()
        Capture.objects.filter(pk=capture.pk).update(
            read_at=capture.read_at
        )  # it may be dropped; see write_note


@transaction.atomic
def write_note(capture: Capture, *, text: str) -> None:
    """Set the note of a capture, cut to 500 characters; empty removes it.

    It has no audit row and so no `acting_user`: a note is a bookmark of its reader and changes no behaviour.
    """
    capture.note = clean(text).strip()[:500]
    # Not save(), which fails if newer captures have dropped this one since it was read.
    Capture.objects.filter(pk=capture.pk).update(note=capture.note)


@transaction.atomic
def delete(bin: Bin, *, captures: CaptureQuerySet, acting_user: User | None) -> tuple[datetime, int]:
    """Delete these captures of the bin; returns the time to pass to restore(), and how many were deleted."""
    at = timezone.now()
    count = captures.filter(deleted_at=None).update(deleted_at=at)
    if count:
        audit.record(bin, AuditAction.CAPTURES_DELETED, acting_user=acting_user, requests=count)
    return at, count


@transaction.atomic
def delete_matching(bin: Bin, *, which: Filter, acting_user: User | None) -> tuple[datetime, int]:
    """Delete the captures that match the filter, or all if it has no terms; returns what delete() does."""
    matching = which.apply(Capture.objects.kept(bin)).order_by().values("pk")
    return delete(bin, captures=bin.captures.filter(pk__in=matching), acting_user=acting_user)


@transaction.atomic
def restore(bin: Bin, *, at: datetime, acting_user: User | None) -> int:
    """Restore the captures that were deleted at that time; returns how many, 0 after UNDO_FOR."""
    if at < timezone.now() - UNDO_FOR:
        return 0
    count = bin.captures.filter(deleted_at=at).update(deleted_at=None)
    if count:
        audit.record(bin, AuditAction.CAPTURES_RESTORED, acting_user=acting_user, requests=count)
    return count
