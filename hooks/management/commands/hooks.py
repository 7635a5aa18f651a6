"""`manage.py hooks check`: does promise 1 of docs/delivery.md hold, instance by instance?"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand
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


class Command(BaseCommand):
    help = "check: prove that no hook was lost; exits with 1 when one was."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        subparsers = parser.add_subparsers(dest="what", required=True)
        subparsers.add_parser("check", help="emitted = the sum of all states, per instance")

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            with connection.cursor() as cursor:  # both counts are of one moment
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            rows = totals()
        bad = 0
        for row in rows:
            states = " + ".join(f"{row[state.value]} {state.value}" for state in State)
            dropped = f" + {row['dropped']} dropped by age" if row["dropped"] else ""
            lost = missing(row)
            bad += bool(lost)
            verdict = "ok" if not lost else f"WRONG, {lost} missing"
            self.stdout.write(
                f"instance key {row['instance']}: {row['emitted']} emitted = {states}{dropped}: {verdict}"
            )
        self.stdout.write(f"{len(rows)} instances checked, {bad} wrong.")
        if bad:
            sys.exit(1)
