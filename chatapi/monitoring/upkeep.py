"""How far standbys and retention are behind: `manage.py doctor` judges these numbers, and /metrics shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import connection
from django.utils import timezone

from hooks.maintenance import new_days

OLDEST_LOOKED_AT = 1000  # hooks: the first ones may be waiting still


class Standby(NamedTuple):
    """A standby that is connected to the server. `lag` is in seconds, None while nothing is replayed."""

    name: str
    state: str | None  # None: hidden from the database's user, as is `lag`
    lag: float | None


def standbys() -> list[Standby]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT application_name, sync_state, extract(epoch FROM replay_lag)::float8 FROM pg_stat_replication"
        )
        return [Standby(*row) for row in cursor.fetchall()]


def oldest_finished_hook() -> datetime | None:
    """Returns when the oldest finished hook was created."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT min(created_at) FROM (SELECT created_at, state FROM hooks_hook ORDER BY id LIMIT %s) AS oldest
            WHERE state IN ('delivered', 'failed', 'skipped', 'cancelled')
            """,
            [OLDEST_LOOKED_AT],
        )
        [found] = cursor.fetchone()
        return found


def keeping_time() -> timedelta:
    """For how long finished hooks are kept: HOOKS_KEEP_DAYS and up to one partition longer."""
    return timedelta(days=settings.HOOKS_KEEP_DAYS + new_days.length())


@dataclass(frozen=True, slots=True)
class UpkeepNumbers:
    """In seconds. None: without a standby whose lag is known, without a finished hook."""

    lag: float | None
    oldest: float | None
    kept: float


def upkeep_numbers() -> UpkeepNumbers:
    """Returns the numbers. Two queries."""
    oldest = oldest_finished_hook()
    return UpkeepNumbers(
        lag=max((one.lag for one in standbys() if one.lag is not None), default=None),
        oldest=(timezone.now() - oldest).total_seconds() if oldest else None,
        kept=keeping_time().total_seconds(),
    )
