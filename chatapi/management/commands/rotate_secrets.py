"""`manage.py rotate_secrets`: see chatapi/runtime/secret_rotation.py and docs/running/secrets.md."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatapi.encryption.cipher import newest_key
from chatapi.runtime import secret_rotation


class Command(BaseCommand):
    help = (
        "Encrypts all secrets in the database with the first key of SECRETS_KEY, and tells when the other keys can be "
        "removed. It can run beside the site, be interrupted, and be repeated."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="only tell which keys are in use")
        parser.add_argument(
            "--replace-unreadable",
            action="store_true",
            help="a key is lost: replace what it encrypted by new secrets, remove second factors, end sessions",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["check"]:
            unreadable = secret_rotation.rotate(self.stdout.write)
            if unreadable and options["replace_unreadable"]:
                secret_rotation.replace_unreadable(unreadable, self.stdout.write)
        newest, used = newest_key().id, secret_rotation.keys_in_use()
        for id, count in sorted(used.items()):
            self.stdout.write(f"Key {id}{' (the newest)' if id == newest else ''}: {count} secrets")
        old = sorted(used.keys() - {newest})
        if old:
            raise CommandError(
                f"Still in use: {', '.join(old)}. Keep every key in SECRETS_KEY, and run `manage.py rotate_secrets` "
                "again. If a key is lost, `--replace-unreadable` replaces the secrets that only it can decrypt."
            )
        self.stdout.write(
            f"Only the newest key ({newest}) is in use. The others can be removed from SECRETS_KEY."
        )
