"""Limits guessing: after a few failures the next attempt is refused for a while, and each pause is twice the last one.

The counts are in the database, so all processes and machines share them, and no number of other attempts removes one.
An attempt is counted before it is examined, under a row lock: requests sent at once cannot pass together.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Lockout

NOTIFY_EVERY = timedelta(days=1)


@dataclass(frozen=True)
class LockoutRule:
    """How many failures are allowed, and how long the pauses are.

    `free` failures within `window` lead to the first pause; after it, each further `free_after` failures lead to
    another. A series ends `forget` after its last failure and pause.
    """

    kind: str
    free: int
    window: timedelta
    first_pause: timedelta
    longest_pause: timedelta
    forget: timedelta
    free_after: int = 1
    notify_at: int = 0  # failures of a series after which the user gets a mail
    ends_with_window: bool = False  # the first pause lasts for the rest of the window, counted by the clock

    def pause(self, number: int, now: datetime) -> timedelta:
        """Returns the length of the series' pause with this number; the first is 1."""
        if number == 1 and self.ends_with_window:
            return self.window - timedelta(seconds=now.timestamp() % self.window.total_seconds())
        # 2**30 minutes is longer than any pause, and larger powers are too large for a timedelta
        return min(self.longest_pause, self.first_pause * 2 ** min(number - 1, 30))


# Of a password, for each e-mail address that is typed: 5 at once, then 1 after 1 min, 2 min, 4 min … 1 h: 30 a day.
PASSWORD = LockoutRule(
    "password",
    free=5,
    window=timedelta(minutes=15),
    first_pause=timedelta(minutes=1),
    longest_pause=timedelta(hours=1),
    forget=timedelta(days=1),
    notify_at=6,
)
# Of authenticator and recovery codes, for each user. Three of a million codes are right at a time: 1 in 11 000 a day.
SECOND_FACTOR = replace(PASSWORD, kind="code", notify_at=5)


@dataclass(frozen=True)
class Attempt:
    """What `attempt` found. `seconds` is the time until the next attempt; 0 if it may be examined now."""

    seconds: int = 0
    pause: int = 0  # seconds of the pause that this attempt starts, should it fail; 0 if it starts none
    failures: int = 0  # of the series, with this one should it fail


@transaction.atomic
def attempt(rule: LockoutRule, subject: str) -> Attempt:
    """Count an attempt as failed, before it is examined; call `clear` if it succeeds. Four statements.

    A refused attempt is not counted. Call it outside a transaction: a rollback would forget the failure.
    """
    now, key = timezone.now(), lockout_key(rule, subject)
    new = Lockout(key=key, since=now, blocked_until=now, last_failure_at=now)
    Lockout.objects.bulk_create([new], ignore_conflicts=True)
    row = Lockout.objects.select_for_update().get(key=key)
    if row.blocked_until > now:
        return Attempt(seconds=seconds_between(now, row.blocked_until))
    if max(row.last_failure_at, row.blocked_until) <= now - rule.forget:
        row.total = row.failures = row.pauses = 0
    if row.since <= now - rule.window and not row.pauses:
        row.failures, row.since = 0, now
    row.total += 1
    row.failures += 1
    row.last_failure_at = now
    pause = timedelta()
    if row.failures >= (rule.free_after if row.pauses else rule.free):
        row.failures, row.pauses, row.since = 0, min(row.pauses + 1, 1000), now
        pause = rule.pause(row.pauses, now)
        row.blocked_until = now + pause
    row.save()
    return Attempt(0, math.ceil(pause.total_seconds()), row.total)


def claim_notification(rule: LockoutRule, subject: str) -> int:
    """Returns the failures of the series if a mail about them is due now, else 0.

    That is at most once in NOTIFY_EVERY; of concurrent calls, one gets the number.
    """
    now = timezone.now()
    due = Q(notified_at=None) | Q(notified_at__lte=now - NOTIFY_EVERY)
    rows = Lockout.objects.filter(due, key=lockout_key(rule, subject), total__gte=rule.notify_at)
    if not rows.update(notified_at=now):
        return 0
    return Lockout.objects.values_list("total", flat=True).get(key=lockout_key(rule, subject))


def clear(rule: LockoutRule, subject: str) -> None:
    """End the series of failures, because an attempt has succeeded. The user is still told at most once a day."""
    now = timezone.now()
    Lockout.objects.filter(key=lockout_key(rule, subject)).update(
        total=0, failures=0, pauses=0, since=now, blocked_until=now
    )


def delete_expired() -> None:
    """Delete the counts whose series has ended, and expired values of the cache. Runs every hour."""
    from accounts.models import SharedValue

    now = timezone.now()
    longest = PASSWORD.forget + PASSWORD.longest_pause
    Lockout.objects.filter(last_failure_at__lt=now - longest, blocked_until__lt=now).delete()
    SharedValue.objects.filter(expires_at__lt=now).delete()


def lockout_key(rule: LockoutRule, subject: str) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.sha256(f"{rule.kind} {subject}".encode(errors="replace")).digest()[:16])


def seconds_between(start: datetime, end: datetime) -> int:
    return math.ceil((end - start).total_seconds())
