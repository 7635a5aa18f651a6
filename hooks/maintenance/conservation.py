"""Proves that no hook was lost: the emitted hooks of each endpoint and instance are in its rows, or were dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

from django.db import connection, transaction
from django.db.models import Count, F, Sum

from hooks.models import DroppedCount, EmittedCount, Endpoint, Hook, State, Tally


def totals() -> list[dict[str, int]]:
    """Returns for each endpoint its key and its instance's, and its hooks emitted, dropped and in each state."""
    counts: dict[int, dict[str, int]] = {}
    for row in Hook.objects.order_by().values("endpoint_id", "state").annotate(n=Count("id")):
        counts.setdefault(row["endpoint_id"], {})[row["state"]] = row["n"]
    # of partitions that were dropped a moment ago: not in the tallies yet
    dropped = dict(
        DroppedCount.objects.filter(partition__at__isnull=False)
        .order_by().values_list("endpoint_id").annotate(n=Sum("number"))
    )  # fmt: skip
    # by events of a moment ago: not in the tallies yet
    emitted = dict(EmittedCount.objects.values_list("endpoint_id").annotate(n=Sum("emitted")))
    tallies = Tally.objects.annotate(instance=F("endpoint__instance_id")).order_by("instance", "pk")
    return [
        {
            "instance": tally.instance,
            "endpoint": tally.pk,
            "emitted": tally.emitted + emitted.get(tally.pk, 0),
            "dropped": tally.dropped + dropped.get(tally.pk, 0),
        }
        | {state.value: counts.get(tally.pk, {}).get(state.value, 0) for state in State}
        for tally in tallies.iterator()
    ]


def by_instance(rows: Iterable[dict[str, int]]) -> list[list[dict[str, int]]]:
    """Returns the rows of totals() in groups, one for each instance."""
    return [list(of_one) for _, of_one in groupby(rows, key=itemgetter("instance"))]


def sum_of(rows: Iterable[dict[str, int]]) -> dict[str, int]:
    """Returns the totals of one instance, from those of its endpoints."""
    total: Counter[str] = Counter()
    for row in rows:
        total.update({name: number for name, number in row.items() if name not in ("instance", "endpoint")})
    return dict(total)


def unknown_endpoints() -> list[int]:
    """Returns the keys of the endpoints that get no hooks because their instance's first endpoint does not know them.

    Empty unless rows were changed outside the actions.
    """
    known = {
        key for keys in Endpoint.objects.exclude(others=[]).values_list("others", flat=True) for key in keys
    }
    others = Endpoint.objects.filter(first_of=None, removed_at=None).order_by("pk")
    return [key for key in others.values_list("pk", flat=True) if key not in known]


def missing(row: dict[str, int]) -> int:
    """Returns the number of emitted hooks that are in no state; 0 if none was lost."""
    return row["emitted"] - row["dropped"] - sum(row[state.value] for state in State)


def consistent_totals() -> list[dict[str, int]]:
    """Returns totals() of one database snapshot, unaffected by concurrent deliveries. Call outside a transaction."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # before the snapshot is taken: which partitions a table has is not part of it
            cursor.execute("LOCK TABLE hooks_hook IN ACCESS SHARE MODE")
        return totals()


def totals_lines(rows: list[dict[str, int]]) -> list[str]:
    """Returns one instance's totals as lines of text: one; with several endpoints, one more for each of them."""
    instance = f"instance key {rows[0]['instance']}"
    if len(rows) == 1:
        return [f"{instance}: {totals_text(rows[0])}"]
    of_each = [f"    endpoint key {row['endpoint']}: {totals_text(row)}" for row in rows]
    return [f"{instance}, {len(rows)} endpoints: {totals_text(sum_of(rows))}", *of_each]


def totals_text(row: dict[str, int]) -> str:
    states = " + ".join(f"{row[state.value]} {state.value}" for state in State)
    dropped = f" + {row['dropped']} dropped by age" if row["dropped"] else ""
    lost = missing(row)
    verdict = "ok" if not lost else f"WRONG, {lost} missing"
    return f"{row['emitted']} emitted = {states}{dropped}: {verdict}"
