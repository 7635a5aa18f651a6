"""Everything that is written to bins: captures in, old captures out, and the verifications that fill them.

A capture is one statement, because a running verification may bring hundreds of hooks a second.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

import hooks.actions
from hooks.models import Endpoint
from instances.models import Instance
from testing_tools.models import BODY_LIMIT, KEEP_FOR, KEEP_NEWEST, Bin, Capture, new_capture_id
from testing_tools.recognise import recognise

# Of a bin that overflows, so many captures go at once: one DELETE every so many requests.
TRIM_EVERY = 50
# The number is raised by the UPDATE, whose row lock is held until the capture is committed. So numbers are
# gapless and become visible in their order, and a page that asks "greater than n" never misses one that
# was written earlier and committed later. Without the lock that is a matter of luck.
CAPTURE = """
    WITH numbered AS (
        UPDATE testing_tools_bin SET captured = captured + 1 WHERE key = %(key)s RETURNING id, captured
    )
    INSERT INTO testing_tools_capture (
        bin_id, number, public_id, at, method, path, query, headers, body, size, too_large,
        family, label, summary, attempt, remote_address, status, read_at
    )
    SELECT
        id, captured, %(public_id)s, clock_timestamp(), %(method)s, %(path)s, %(query)s, %(headers)s::jsonb,
        %(body)s, %(size)s, %(too_large)s,
        %(family)s, %(label)s, %(summary)s, %(attempt)s, %(remote_address)s::inet, %(status)s, NULL
    FROM numbered
    RETURNING bin_id, number
"""


def open_bin(instance: Instance) -> Bin:
    """The instance's bin; made when it is asked for the first time."""
    return Bin.objects.get_or_create(instance=instance)[0]


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
) -> int | None:
    """Keep one request; returns its number in the bin, or None when no bin has this key.

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
        "status": 413 if too_large else 200,
    }
    with connection.cursor() as cursor:
        cursor.execute(CAPTURE, values)
        row = cursor.fetchone()
    if row is None:
        return None
    bin_id, number = row
    if number > KEEP_NEWEST and number % TRIM_EVERY == 0:
        drop(bin_id, Q(number__lte=number - KEEP_NEWEST))
    return int(number)


def clean(text: str) -> str:
    """`text` as PostgreSQL can keep it: without NULs and lone surrogates."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


@transaction.atomic
def drop(bin_id: int, which: Q) -> int:
    """Remove captures of one bin and count them as dropped; returns how many.

    The bin's row is locked first: two that drop at once would count the same capture twice, or wait for each other.
    """
    if not Bin.objects.select_for_update().filter(pk=bin_id).exists():
        return 0
    gone, _ = Capture.objects.filter(which, bin_id=bin_id).delete()
    Bin.objects.filter(pk=bin_id).update(dropped=F("dropped") + gone)
    return gone


def drop_old_captures(now: datetime | None = None) -> int:
    """Remove what is older than 7 days, everywhere; returns how many. To be run every hour or so."""
    old = Q(at__lt=(now or timezone.now()) - KEEP_FOR)
    bins = list(Capture.objects.filter(old).order_by().values_list("bin_id", flat=True).distinct())
    return sum(drop(bin_id, old) for bin_id in bins)


@transaction.atomic
def mark_read(capture: Capture) -> None:
    """Its owner has looked at it; only the first look counts."""
    if capture.read_at is None:
        capture.read_at = timezone.now()
        capture.save(update_fields=["read_at"])


@transaction.atomic
def start_verification(instance: Instance, *, actor: Any) -> Bin:
    """For VERIFICATION_MINUTES from now the instance's hooks go to its bin; again while it runs: from now anew.

    The own address stays where it is, so there is nothing to put back when the time is over.
    """
    bin = open_bin(instance)
    until = timezone.now() + timedelta(minutes=settings.VERIFICATION_MINUTES)
    hooks.actions.borrow_address(endpoint_of(instance), url=bin.url, until=until, actor=actor)
    return bin


@transaction.atomic
def stop_verification(instance: Instance, *, actor: Any) -> None:
    """The hooks go to the own address again, from this moment; without a running one nothing happens."""
    hooks.actions.return_address(endpoint_of(instance), actor=actor)


def endpoint_of(instance: Instance) -> Endpoint:
    return Endpoint.objects.get(instance=instance)
