"""Decides when a failed hook is retried, and when retries stop."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from hooks.models import GUARANTEED_ATTEMPTS, RETRY_DELAYS

JITTER = 0.2  # ±20 %: the retries after an outage must not all run in the same second
MAX_RETRY_AFTER = timedelta(hours=1)
HTTP_GONE = 410


def next_attempt(
    now: datetime, *, made: int, allowed: int, status: int | None = None, retry_after: str = ""
) -> datetime | None:
    """Returns when the next attempt is due after `made` failed attempts; None if the hook has failed finally.

    `retry_after` is the header of the last response: seconds or an HTTP date. It can delay an attempt, up to an hour,
    but never advance it. Status 410 Gone ends the retries.
    """
    if made >= allowed or status == HTTP_GONE:
        return None
    before = max(allowed - GUARANTEED_ATTEMPTS, 0)  # attempts before a resend, which restarts the schedule
    planned = RETRY_DELAYS[max(made - before, 0)]
    delay = planned * random.uniform(1 - JITTER, 1 + JITTER)
    return now + max(delay, min(retry_after_delay(now, retry_after), MAX_RETRY_AFTER))


def retry_after_delay(now: datetime, retry_after: str) -> timedelta:
    """Returns Retry-After as a delay (RFC 9110 §10.2.3); zero if it is missing, in the past or invalid."""
    retry_after = retry_after.strip()
    if not retry_after:
        return timedelta()
    if retry_after.isascii() and retry_after.isdigit():
        return timedelta(seconds=min(int(retry_after[:9]), 10**6))
    try:
        when = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):  # OverflowError: numbers of twenty digits, which some servers send
        return timedelta()
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(when - now, timedelta())
