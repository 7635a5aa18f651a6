"""`hooks check` verifies that no hook was lost; `hooks repair` removes second lanes of endpoints, which it reports.

`hooks load` creates thousands of hooks, for measurements.

It is in chatapi because load tests create instances, and the app hooks does not import instances.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hooks import load_test
from hooks.maintenance.conservation import (
    by_instance,
    consistent_totals,
    missing,
    totals_lines,
    unknown_endpoints,
)
from hooks.maintenance.doubled_lanes import doubled_lanes, remove_doubled_lanes
from hooks.urls import webhook_urls
from instances.actions.load_test import (
    LoadTestAccountTaken,
    load_test_event,
    open_load_test,
    remove_load_test,
)


class Command(BaseCommand):
    help = (
        "check: verify that no hook was lost (exit code 1 if one was). repair: remove second lanes of endpoints, which"
        " check reports. load: create thousands of hooks."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        subparsers = parser.add_subparsers(dest="what", required=True)
        subparsers.add_parser("check", help="emitted = the sum of all states, per instance")
        subparsers.add_parser("repair", help="leave each endpoint one lane; their hooks may be sent twice")
        add = subparsers.add_parser("load", help="create hooks of load-test instances").add_argument
        add(
            "--instances",
            type=at_least_one,
            default=10,
            help="number of instances that share the hooks evenly (10)",
        )
        add("--count", type=at_least_one, default=1000, help="number of hooks in total (1000)")
        add("--url", help="hooks of an instance go to URL/{its number}")
        add("--rate", type=positive, help="hooks per second; without it, as fast as possible")
        add("--parallel", action="store_true", help="with parallelHooks")
        add("--guaranteed", action="store_true", help="with guaranteedHooks")
        add(
            "--wait",
            action="store_true",
            help="wait until every hook is finished, and print how long it took",
        )
        add("--clean", action="store_true", help="afterwards remove all load-test instances with their rows")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "check":
            self.check_all_instances()
            return
        if options["what"] == "repair":
            repaired = remove_doubled_lanes()
            self.stdout.write(f"Second lanes removed from {len(repaired)} endpoints{keys_text(repaired)}.")
            return
        if not options["url"] and not options["clean"]:
            raise CommandError(
                "--url is required: where to send the hooks. (--clean alone removes load-test instances.)"
            )
        if options["url"]:
            self.load(**options)
        if options["clean"]:
            instances, hooks = remove_load_test()
            self.stdout.write(f"{instances} load-test instances removed, with {hooks} hooks.")

    def check_all_instances(self) -> None:
        rows = consistent_totals()
        groups = by_instance(rows)
        for group in groups:
            self.stdout.write("\n".join(totals_lines(group)))
        bad = sum(any(missing(row) != 0 for row in group) for group in groups)
        several = f" with {len(rows)} endpoints" if len(rows) > len(groups) else ""
        self.stdout.write(f"{len(groups)} instances{several} checked, {bad} wrong.")
        unknown, doubled = unknown_endpoints(), doubled_lanes()
        if unknown:
            self.stdout.write(
                f"Endpoints that get no hooks, because the first endpoint does not know them{keys_text(unknown)}."
            )
        if doubled:
            self.stdout.write(
                "Endpoints with two lanes, whose hooks may be sent in another order; `manage.py hooks repair` removes"
                f" the second one{keys_text(doubled)}."
            )
        if bad or unknown or doubled:
            sys.exit(1)

    def load(self, *, instances: int, count: int, url: str, rate: float | None, **options: Any) -> None:
        try:
            url = webhook_urls.check(url)
        except webhook_urls.InvalidUrl as fault:
            raise CommandError(str(fault)) from None
        try:
            opened = open_load_test(
                instances, url=url, parallel=options["parallel"], guaranteed=options["guaranteed"]
            )
        except LoadTestAccountTaken as fault:
            raise CommandError(str(fault)) from None
        by_key = {instance.pk: instance for instance in opened}
        began = time.perf_counter()
        seconds = load_test.emit_evenly(
            list(by_key), count, lambda key, number: load_test_event(by_key[key], number), rate=rate
        )
        self.stdout.write(
            f"{count} hooks created for {instances} instances in {seconds:.1f} s: {count / seconds:.0f}/s."
        )
        if options["wait"]:
            load_test.wait_until_finished(list(by_key))
            seconds = time.perf_counter() - began
            ended = ", ".join(
                f"{n} {state.value}" for state, n in load_test.outcome(list(by_key)).items() if n
            )
            self.stdout.write(
                f"All finished {seconds:.1f} s after the first was created: {count / seconds:.0f}/s; total {ended}."
            )


def keys_text(keys: Sequence[int]) -> str:
    return ": " + ", ".join(map(str, keys)) if keys else ""


def at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1 000 000")
    return value
