"""The proof that nothing was lost: what was emitted is what the rows add up to, endpoint by endpoint."""

from __future__ import annotations

from django.db import connection, transaction
from django.db.models import Count

from hooks.models import Hook, State, Tally


def totals() -> list[dict[str, int]]:
    """Per endpoint: its key, how many hooks were emitted, dropped by retention, and are in each state."""
    counts: dict[int, dict[str, int]] = {}
    for row in Hook.objects.order_by().values("endpoint_id", "state").annotate(n=Count("id")):
        counts.setdefault(row["endpoint_id"], {})[row["state"]] = row["n"]
    return [
        {"instance": tally.pk, "emitted": tally.emitted, "dropped": tally.dropped}
        | {state.value: counts.get(tally.pk, {}).get(state.value, 0) for state in State}
        for tally in Tally.objects.order_by("pk").iterator()
    ]


def missing(row: dict[str, int]) -> int:
    """Emitted hooks that no state accounts for; 0 when the promise holds."""
    return row["emitted"] - row["dropped"] - sum(row[state.value] for state in State)


def totals_of_one_moment() -> list[dict[str, int]]:
    """As totals(), both counts of one moment, whatever is delivered meanwhile; outside any transaction."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return totals()


def sentence(row: dict[str, int]) -> str:
    """One endpoint's sum in one line."""
    states = " + ".join(f"{row[state.value]} {state.value}" for state in State)
    dropped = f" + {row['dropped']} dropped by age" if row["dropped"] else ""
    lost = missing(row)
    verdict = "ok" if not lost else f"WRONG, {lost} missing"
    return f"instance key {row['instance']}: {row['emitted']} emitted = {states}{dropped}: {verdict}"
