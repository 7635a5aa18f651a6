"""Finds thousands of the newest hooks of many endpoints, for searches, counts and charts over all instances.

To read the newest 10 000 of each of 1 000 endpoints would read all of them. So the time is found that has enough
hooks, from the last seconds backwards, and only its hooks are read. Counting ends as soon as there are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from hooks.log.index_order import SELECTIVE, in_index_order, newest_keys, newest_sql
from hooks.log.selection import Filter
from hooks.models import Hook, smallest_public_id
from hooks.sql.partitions import SEQUENCE

MANY = 20  # with so many endpoints, those of each are merged
# Each is several times as long as the one before, so that a few times as many hooks as wanted are read.
SPANS = (
    timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6),
    timedelta(days=1), timedelta(days=4), timedelta(days=15),
)  # fmt: skip
ALL_RESPONSES: Filter = {"answers": ["2xx", "3xx", "4xx", "5xx", "none"]}  # every hook with an attempt
# No hook has a larger key. So of the hooks after another key there are no more than the difference.
LAST_KEY = f"SELECT last_value FROM {SEQUENCE}"
COUNT = "SELECT count(*) FROM (SELECT FROM ({matching}) AS found LIMIT %s) AS counted"
KEYS = "SELECT id FROM ({matching}) AS found ORDER BY id DESC LIMIT %s"


def recent_keys(
    endpoint_ids: Sequence[int], wanted: Filter, *, limit: int, narrowed: Q | None = None
) -> list[int]:
    """Returns the keys of the newest `limit` matching hooks of these endpoints together, newest first.

    `narrowed` is a condition in addition to the filter. At most two queries for each time that is tried, and two. For
    1,000 endpoints a count takes 18 ms, however few hooks there are: it is left out if the site has too few.
    """
    if wanted.keys() & SELECTIVE:
        return newest_keys(endpoint_ids, wanted, limit=limit, narrowed=narrowed)
    now = timezone.now()
    condition = narrowed or Q()
    last = last_key()
    for span in SPANS:
        before = Hook.objects.filter(public_id__lt=smallest_public_id(now - span))
        first = before.order_by("-public_id").values_list("pk", flat=True).first()
        if first is None:
            break
        if last - first < limit:
            continue
        since = condition & Q(pk__gt=first)
        if count(endpoint_ids, wanted, limit, since) >= limit:
            condition = since
            break
    matching, values = newest_sql(endpoint_ids, wanted, limit=limit, narrowed=condition, merged=False)
    # The order over all endpoints is a sort.
    with in_index_order(wanted), connection.cursor() as cursor:
        cursor.execute(KEYS.format(matching=matching), [*values, limit])
        return [key for (key,) in cursor.fetchall()]


def last_key() -> int:
    """Returns a key that no hook exceeds. One query."""
    with connection.cursor() as cursor:
        cursor.execute(LAST_KEY)
        return int(cursor.fetchone()[0])


def count(endpoint_ids: Sequence[int], wanted: Filter, limit: int, narrowed: Q | None = None) -> int:
    """Returns how many hooks match, up to `limit`. One query."""
    matching, values = newest_sql(endpoint_ids, wanted, limit=limit, narrowed=narrowed, merged=False)
    with in_index_order(wanted), connection.cursor() as cursor:
        cursor.execute(COUNT.format(matching=matching), [*values, limit])
        return int(cursor.fetchone()[0])
