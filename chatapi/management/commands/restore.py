"""`manage.py restore`: see chatapi/runtime/backup/restore.py and docs/running/backup.md."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatapi.runtime.backup.errors import BackupError
from chatapi.runtime.backup.passphrase import read_passphrase
from chatapi.runtime.backup.restore import Options, restore

ABOUT = """\
Restores a backup of `manage.py backup` into DATA_DIR, and with DATABASE_URL into that database, which must be empty. A
backup of an older version is migrated to this one. Nothing is changed before the whole file was read and is undamaged.

Hooks and messages that were waiting at the time of the backup are sent when the site starts, also those that have been
sent since then. With --pause nothing is sent, and `manage.py restored start --drop-waiting` drops them. Those that were
in flight at that time are sent again in either case.
"""


class Command(BaseCommand):
    help = ABOUT
    requires_system_checks: list[str] = []

    def create_parser(self, *args: Any, **options: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=Path, help="the file that `manage.py backup` has written")
        parser.add_argument("--passphrase-file", help="a file with the passphrase of an encrypted backup")
        parser.add_argument(
            "--replace",
            action="store_true",
            help="restore into a DATA_DIR that has data, which is kept in a folder in it",
        )
        parser.add_argument(
            "--pause",
            action="store_true",
            help="stop all instances, until `manage.py restored start`: to look before anything is sent",
        )

    def handle(self, *args: Any, **given: Any) -> None:
        os.umask(0o077)
        try:
            options = Options(
                passphrase=read_passphrase(given["passphrase_file"]),
                replace=given["replace"],
                pause=given["pause"],
            )
            is_right = restore(given["source"].expanduser().absolute(), options, self.stdout.write)
        except BackupError as error:
            raise CommandError(str(error)) from None
        if not is_right:
            sys.exit(1)
