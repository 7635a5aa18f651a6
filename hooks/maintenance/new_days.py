"""Makes the partitions of coming days, and moves the sequence of ids when a day begins. See hooks/sql/partitions.py.

Every partition costs the dispatcher, the log and the planner: with 8 partitions instead of 39, PostgreSQL needs a third
of the CPU for a claim. So the time that hooks are kept is divided into KEPT_IN partitions, not into days, and hooks are
kept for up to one partition's length longer.
"""

from __future__ import annotations

import logging
import math

from django.conf import settings
from django.db import connection, transaction

from hooks.sql import partitions

log = logging.getLogger(__name__)

KEPT_IN = 5


def length() -> int:
    """Returns the days of a new partition."""
    return max(math.ceil(settings.HOOKS_KEEP_DAYS / KEPT_IN), 1)


def prepare() -> str:
    """Make what is missing, and begin the day; returns a summary. A schedule calls it every ten minutes.

    If it is not called, ids continue in the day before, and nothing else changes.
    """
    day = partitions.today()
    with transaction.atomic(), connection.cursor() as cursor:
        made = partitions.make_ahead(cursor, day, length())
    with transaction.atomic(), connection.cursor() as cursor:
        has_begun = partitions.start_day(cursor, day)
    summary = f"{made} partitions made" + (f", {day} has begun" if has_begun else "")
    if made or has_begun:
        log.info("partitions: %s", summary)
    return summary
