"""Everything that is written to bins: captures in and out, notes and orders, and the verifications that fill them.

A capture is one statement, because a running verification may bring hundreds of hooks a second.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.audit import AuditAction
from accounts.models import Account
from hooks.actions.endpoints import end_override, override_url
from hooks.models import Endpoint
from instances.models import Instance
from testing_tools.verification import responses
from testing_tools.verification.actions.audit import record_for_bin
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
from testing_tools.verification.responses import Order

# Of a bin that overflows, so many captures go at once: one DELETE every so many requests.
TRIM_EVERY = 50
# What a person has deleted can be had back for so long.
UNDO_FOR = timedelta(minutes=10)
# The number is raised by the UPDATE, whose row lock is held until the capture is committed. So numbers are
# gapless and become visible in their order, and a page that asks "greater than n" never misses one that
# was written earlier and committed later. Without the lock that is a matter of luck.
CAPTURE = """
    WITH numbered AS (
        UPDATE testing_tools_bin SET captured = captured + 1 WHERE key = %(key)s RETURNING *
    ), kept AS (
        INSERT INTO testing_tools_capture (
            bin_id, number, public_id, at, method, path, query, headers, body, size, too_large,
            family, label, summary, attempt, remote_address, read_at, note, status, answer_note
        )
        SELECT
            id, captured, %(public_id)s, clock_timestamp(), %(method)s, %(path)s, %(query)s, %(headers)s::jsonb,
            %(body)s, %(size)s, %(too_large)s,
            %(family)s, %(label)s, %(summary)s, %(attempt)s, %(remote_address)s::inet, NULL, '',
            CASE WHEN %(too_large)s THEN 413
                 WHEN %(asked)s::int IS NOT NULL THEN %(asked)s::int
                 WHEN captured <= fail_through THEN %(fails_with)s
                 ELSE answer_status END,
            CASE WHEN %(too_large)s THEN 'too large'
                 WHEN %(asked)s::int IS NOT NULL THEN 'as the address asks'
                 WHEN captured <= fail_through
                 THEN 'on purpose, ' || fail_first - (fail_through - captured) || ' of ' || fail_first
                 WHEN answer_delay > 0 THEN 'after ' || answer_delay || ' s'
                 ELSE '' END
        FROM numbered
        RETURNING id AS capture_id, status
    )
    SELECT
        id, captured, capture_id, status, answer_headers::text, answer_body,
        CASE WHEN %(too_large)s OR %(asked)s::int IS NOT NULL THEN 0 ELSE answer_delay END,
        status = answer_status AND NOT %(too_large)s AND %(asked)s::int IS NULL AND captured > fail_through
    FROM numbered, kept
"""


class Taken(NamedTuple):
    """A request that was kept, and the answer to it; `delay` in seconds. `ordered`: with the owner's own body."""

    bin_id: int
    number: int
    capture_id: int
    status: int
    headers: list[list[str]]
    body: str
    delay: float
    ordered: bool


def open_bin(instance: Instance) -> Bin:
    """The instance's bin; made when it is asked for the first time."""
    return Bin.objects.get_or_create(instance=instance)[0]


def open_own_bin(account: Account) -> Bin:
    """The bin that belongs to no instance ("my bin"); made when it is asked for the first time."""
    return Bin.objects.get_or_create(account=account)[0]


def capture(
    key: str,
    *,
    method: str,
    path: str = "",
    query: str = "",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    size: int | None = None,
    remote_address: str | None = None,
) -> Taken | None:
    """Keep one request; returns what is to be answered, or None when no bin has this key.

    `headers` as [(name, value), …] in the order they came, `size` in bytes when it is more than `body`
    holds. Over BODY_LIMIT the row is a stub: no body, and 413 as our answer.
    """
    size = len(body) if size is None else size
    too_large = size > BODY_LIMIT
    body = b"" if too_large else body
    known = recognise(body)
    values: dict[str, Any] = {
        "key": key,
        "public_id": new_capture_id(),
        "method": clean(method)[:20],
        "path": clean(path)[:2000],
        "query": clean(query),
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
        "asked": responses.asked_by_address(path),
        "fails_with": responses.FAILS_WITH,
    }
    with connection.cursor() as cursor:
        cursor.execute(CAPTURE, values)
        row = cursor.fetchone()
    if row is None:
        return None
    taken = Taken._make((*row[:4], json.loads(row[4]), *row[5:]))
    if taken.number > KEEP_NEWEST and taken.number % TRIM_EVERY == 0:
        drop(taken.bin_id, Q(number__lte=taken.number - KEEP_NEWEST))
    return taken


def say_not_delayed(taken: Taken) -> None:
    """Its answer was to be slow, and had to go at once."""
    Capture.objects.filter(pk=taken.capture_id).update(answer_note=responses.TOO_MANY_SLOW)


def clean(text: str) -> str:
    """`text` as PostgreSQL can keep it: without NULs and lone surrogates."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


@transaction.atomic
def drop(bin_id: int, which: Q) -> int:
    """Remove captures of one bin and count them as dropped; returns how many.

    The bin's row is locked first: two that drop at once would count the same capture twice, or wait for each other.
    What its owner had deleted goes uncounted.
    """
    if not Bin.objects.select_for_update().filter(pk=bin_id).exists():
        return 0
    Capture.objects.filter(which, bin_id=bin_id, deleted_at__isnull=False).delete()
    gone, _ = Capture.objects.filter(which, bin_id=bin_id).delete()
    Bin.objects.filter(pk=bin_id).update(dropped=F("dropped") + gone)
    return gone


def drop_old_captures(now: datetime | None = None) -> int:
    """Remove what is older than 7 days, everywhere; returns how many. To be run every hour or so.

    What was deleted goes too when it can't be undone any more, and links that have been over for as long.
    """
    now = now or timezone.now()
    Capture.objects.filter(deleted_at__lt=now - UNDO_FOR).delete()
    Share.objects.filter(expires_at__lt=now - KEEP_FOR).delete()
    old = Q(at__lt=now - KEEP_FOR)
    bins = list(Capture.objects.filter(old).order_by().values_list("bin_id", flat=True).distinct())
    return sum(drop(bin_id, old) for bin_id in bins)


@transaction.atomic
def mark_read(capture: Capture) -> None:
    """Its owner has looked at it; only the first look counts."""
    if capture.read_at is None:
        capture.read_at = timezone.now()
        capture.save(update_fields=["read_at"])


@transaction.atomic
def write_note(capture: Capture, text: str, *, acting_user: Any) -> None:
    """The reader's own words beside a capture; empty: none. Longer than 500 characters it is cut."""
    capture.note = clean(text).strip()[:500]
    capture.save(update_fields=["note"])


@transaction.atomic
def order_answer(bin: Bin, order: Order, *, acting_user: Any) -> None:
    """From now on the bin answers so; its failures, if there are to be any, count from the next request."""
    # the lock: a capture must not raise the number between our look at it and the save
    row = Bin.objects.select_for_update().get(pk=bin.pk)
    row.answer_status, row.answer_body, row.answer_delay = order.status, order.body, order.delay
    row.answer_headers = [list(pair) for pair in order.headers]
    row.fail_first = order.fail_first
    row.fail_through = row.captured + order.fail_first if order.fail_first else 0
    changed = [
        "answer_status", "answer_body", "answer_delay", "answer_headers", "fail_first", "fail_through",
    ]  # fmt: skip
    row.save(update_fields=changed)
    bin.refresh_from_db(fields=[*changed, "captured"])
    record_for_bin(bin, AuditAction.BIN_ANSWER, acting_user=acting_user, answer=responses.words(bin))


@transaction.atomic
def delete(bin: Bin, captures: CaptureQuerySet, *, acting_user: Any) -> tuple[datetime, int]:
    """Delete these of the bin's captures; returns by which time restore() brings them back, and how many went."""
    at = timezone.now()
    count = captures.filter(deleted_at=None).update(deleted_at=at)
    if count:
        record_for_bin(bin, AuditAction.CAPTURES_DELETED, acting_user=acting_user, requests=count)
    return at, count


@transaction.atomic
def restore(bin: Bin, at: datetime, *, acting_user: Any) -> int:
    """Bring back what was deleted at that time, within UNDO_FOR; returns how many, 0 when it was too late."""
    if at < timezone.now() - UNDO_FOR:
        return 0
    count = bin.captures.filter(deleted_at=at).update(deleted_at=None)
    if count:
        record_for_bin(bin, AuditAction.CAPTURES_RESTORED, acting_user=acting_user, requests=count)
    return count


@transaction.atomic
def start_verification(instance: Instance, *, forwards: bool = False, acting_user: Any) -> Bin:
    """For VERIFICATION_MINUTES from now the instance's hooks go to its bin; again while it runs: from now anew.

    With `forwards` the own address gets them as well, by hooks of its own with all that hooks are promised. The
    own address stays where it is, so there is nothing to put back when the time is over.
    """
    bin = open_bin(instance)
    until = timezone.now() + timedelta(minutes=settings.VERIFICATION_MINUTES)
    override_url(endpoint_of(instance), url=bin.url, until=until, forwards=forwards, acting_user=acting_user)
    return bin


@transaction.atomic
def stop_verification(instance: Instance, *, acting_user: Any) -> None:
    """The hooks go to the own address again, from this moment; without a running one nothing happens."""
    end_override(endpoint_of(instance), acting_user=acting_user)


def endpoint_of(instance: Instance) -> Endpoint:
    return Endpoint.objects.get(instance=instance)
