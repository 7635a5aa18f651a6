"""`manage.py upgrade-database`: see chatapi/runtime/database_upgrade.py and docs/running/upgrade.md."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatapi.runtime import database_upgrade
from chatapi.runtime.backup.errors import BackupError


class Command(BaseCommand):
    help = (
        "Copies the embedded PostgreSQL's data to the major version that this program includes, while the site is "
        "stopped. The old data is kept until --confirm. Interrupted at any moment, it continues or starts over."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--confirm", action="store_true", help="remove the old data")
        group.add_argument(
            "--roll-back",
            action="store_true",
            help="return to the old data; what was written since the upgrade is kept beside it",
        )

    def handle(self, *args: Any, **given: Any) -> None:
        os.umask(0o077)
        try:
            if given["confirm"]:
                database_upgrade.confirm(self.stdout.write)
            elif given["roll_back"]:
                database_upgrade.roll_back(self.stdout.write)
            else:
                database_upgrade.upgrade(self.stdout.write)
        except BackupError as error:
            raise CommandError(str(error)) from None
