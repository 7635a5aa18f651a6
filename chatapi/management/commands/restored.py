"""`manage.py restored`: see chatapi/runtime/backup/holding.py and docs/running/backup.md."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from chatapi.runtime.backup import holding


class Command(BaseCommand):
    help = "start: start the instances of a site restored with --pause. hold: stop all instances, as --pause does."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        subparsers = parser.add_subparsers(dest="what", required=True)
        subparsers.add_parser("hold", help="stop all running instances: nothing is sent and nothing accepted")
        start = subparsers.add_parser("start", help="start those that were stopped by the restore")
        start.add_argument(
            "--drop-waiting",
            action="store_true",
            help="first cancel the waiting hooks and remove the waiting messages, so that none of them is sent twice; "
            "what was in flight at the time of the backup is sent again all the same",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "hold":
            self.stdout.write(f"{holding.hold()} instances stopped.")
            return
        started, hooks, messages = holding.release(drop_waiting=options["drop_waiting"])
        dropped = f" {hooks} waiting hooks cancelled, {messages} waiting messages removed."
        self.stdout.write(f"{started} instances started." + (dropped if options["drop_waiting"] else ""))
