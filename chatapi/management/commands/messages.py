"""`manage.py messages check` verifies that no accepted message was lost."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from django.core.management.base import BaseCommand

from instances.maintenance.conservation import consistent_totals


class Command(BaseCommand):
    help = "check: verify that no accepted message was lost (exit code 1 if one was)."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        subparsers = parser.add_subparsers(dest="what", required=True)
        check = subparsers.add_parser("check", help="accepted = the sum of all states, per instance")
        check.add_argument(
            "--json", action="store_true", help="print one JSON object instead of lines of text"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        totals = consistent_totals()
        wrong = sum(not one.is_right for one in totals)
        if options["json"]:
            found = {"instances": [one.as_dict() for one in totals], "checked": len(totals), "wrong": wrong}
            self.stdout.write(json.dumps(found))
        else:
            for one in totals:
                self.stdout.write(str(one))
            self.stdout.write(f"{len(totals)} instances checked, {wrong} wrong.")
        if wrong:
            sys.exit(1)
