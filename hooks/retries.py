"""When a failed hook is tried again, and when it is given up."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from hooks.models import GUARANTEED_ATTEMPTS, RETRY_DELAYS

JITTER = 0.2  # ±20 %: the retries of an outage do not all come back in one second
RETRY_AFTER_MOST = timedelta(hours=1)
GONE = 410


def next_attempt(
    now: datetime, *, made: int, allowed: int, status: int | None = None, retry_after: str = ""
) -> datetime | None:
    """When the next attempt is due after `made` failed ones; None: the hook has failed for good.

    `retry_after` is the header of the last answer: seconds or an HTTP date, obeyed up to an hour and
    never sooner than the plan. Status 410 ends the hook: the endpoint says it is gone.
    """
    if made >= allowed or status == GONE:
        return None
    before = max(allowed - GUARANTEED_ATTEMPTS, 0)  # attempts of earlier rounds: a resend restarts the plan
    planned = RETRY_DELAYS[max(made - before, 0)]
    delay = planned * random.uniform(1 - JITTER, 1 + JITTER)
    return now + max(delay, min(wanted_delay(now, retry_after), RETRY_AFTER_MOST))


def wanted_delay(now: datetime, retry_after: str) -> timedelta:
    """Retry-After as a delay (RFC 9110, 10.2.3); zero when it is missing, past or unreadable."""
    retry_after = retry_after.strip()
    if not retry_after:
        return timedelta()
    if retry_after.isascii() and retry_after.isdigit():
        return timedelta(seconds=min(int(retry_after[:9]), 10**6))
    try:
        when = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):  # the latter for numbers of twenty digits, which people do send
        return timedelta()
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(when - now, timedelta())
