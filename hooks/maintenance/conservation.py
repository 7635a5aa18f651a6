"""Proves that no hook was lost: each endpoint's emitted hooks equal its rows plus the dropped ones."""

from __future__ import annotations

from django.db import connection, transaction
from django.db.models import Count

from hooks.models import Hook, State, Tally


def totals() -> list[dict[str, int]]:
    """Returns for each endpoint its key, and the number of hooks emitted, dropped by retention and in each state."""
    counts: dict[int, dict[str, int]] = {}
    for row in Hook.objects.order_by().values("endpoint_id", "state").annotate(n=Count("id")):
        counts.setdefault(row["endpoint_id"], {})[row["state"]] = row["n"]
    return [
        {"instance": tally.pk, "emitted": tally.emitted, "dropped": tally.dropped}
        | {state.value: counts.get(tally.pk, {}).get(state.value, 0) for state in State}
        for tally in Tally.objects.order_by("pk").iterator()
    ]


def missing(row: dict[str, int]) -> int:
    """Returns the number of emitted hooks that are in no state; 0 if none was lost."""
    return row["emitted"] - row["dropped"] - sum(row[state.value] for state in State)


def consistent_totals() -> list[dict[str, int]]:
    """Returns totals() of one database snapshot, unaffected by concurrent deliveries. Call outside a transaction."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return totals()


def totals_line(row: dict[str, int]) -> str:
    """Returns one endpoint's totals as a line of text."""
    states = " + ".join(f"{row[state.value]} {state.value}" for state in State)
    dropped = f" + {row['dropped']} dropped by age" if row["dropped"] else ""
    lost = missing(row)
    verdict = "ok" if not lost else f"WRONG, {lost} missing"
    return f"instance key {row['instance']}: {row['emitted']} emitted = {states}{dropped}: {verdict}"
