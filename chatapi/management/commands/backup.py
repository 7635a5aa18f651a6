"""`manage.py backup`: see chatapi/runtime/backup/create.py and docs/running/backup.md."""

import argparse
import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatapi.runtime.backup.create import Options, back_up
from chatapi.runtime.backup.errors import BackupError
from chatapi.runtime.backup.passphrase import read_passphrase

ABOUT = """\
Writes one file with the database, the files of messages and the keys, of one moment, while the site runs. With the
keys, everything in it can be read: give a passphrase, or keep the file like one. Restore it with `manage.py restore`.

The passphrase is read from --passphrase-file, or from BACKUP_PASSPHRASE_FILE or BACKUP_PASSPHRASE in the environment.
The file is then encrypted in the age format.
"""


class Command(BaseCommand):
    help = ABOUT
    requires_system_checks: list[str] = []  # a site with a wrong setting is backed up too

    def create_parser(self, *args: Any, **options: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "target", type=Path, help="a new file, or a folder that gets one named by the time"
        )
        parser.add_argument("--passphrase-file", help="a file with the passphrase that encrypts the backup")
        parser.add_argument(
            "--without-keys",
            action="store_true",
            help="leave out SECRET_KEY and SECRETS_KEY: keep them elsewhere, a restore needs them",
        )
        parser.add_argument("--without-media", action="store_true", help="leave out the files of messages")
        parser.add_argument(
            "--verify",
            action=argparse.BooleanOptionalAction,
            default=settings.EMBEDDED_POSTGRES,
            help="restore it in a PostgreSQL that is thrown away; by default only with the embedded PostgreSQL",
        )

    def handle(self, *args: Any, **given: Any) -> None:
        os.umask(0o077)
        try:
            options = Options(
                passphrase=read_passphrase(given["passphrase_file"]),
                with_keys=not given["without_keys"],
                with_media=not given["without_media"],
                verify=given["verify"],
            )
            written = back_up(given["target"], options, self.stdout.write)
        except BackupError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"{written} is complete. Restore it: DATA_DIR=/new/folder manage.py restore {written}"
        )
        if options.passphrase:
            self.stdout.write(
                "It is encrypted. Without the passphrase it is lost: keep it apart from the file."
            )
        elif options.with_keys:
            self.stdout.write(
                "It is NOT encrypted, and contains the keys: all data can be read, and anyone's account opened, with "
                "it. Keep it like a password, or give a passphrase (--passphrase-file)."
            )
        else:
            self.stdout.write(
                "It has no keys: keep SECRET_KEY and SECRETS_KEY elsewhere, a restore needs them."
            )
