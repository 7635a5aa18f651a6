"""`manage.py demo [--json]`: prints the demo account's login; creates the account if it is missing."""

import json
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, OperationalError

from accounts.models import Account
from chatapi.demo_account.account import (
    EMAIL,
    Demo,
    DemoBlocked,
    create_or_repair,
    read_login,
    write_login,
)

REFUSAL = (
    "DATABASE_URL is set, so this may be a real site, and the demo account's login is stored in plain text in "
    "DATA_DIR/demo.json; use --force to create it anyway."
)


class Command(BaseCommand):
    help = "Creates the demo account with a paid and authenticated sandbox instance, and prints its login."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="print one line of JSON, and nothing else, on stdout"
        )
        parser.add_argument("--force", action="store_true", help="create it even if DATABASE_URL is set")

    # `manage.py up` passes first_start: it creates the account once, and never resets what users have changed.
    stealth_options = ("first_start",)

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.EMBEDDED_POSTGRES and not options["force"]:
            raise CommandError(REFUSAL)
        try:
            if options.get("first_start"):
                exists = Account.objects.filter(owner__email=EMAIL).exists()
                return update_urls() if exists else self.print(create_or_repair(), options["json"])
            if settings.EMBEDDED_POSTGRES:
                call_command("migrate", interactive=False, verbosity=0)
            self.print(create_or_repair(), options["json"])
        except DemoBlocked as error:
            raise CommandError(str(error)) from None
        except (OperationalError, InterfaceError) as error:
            raise CommandError(f"The database cannot be used: {first_line(error)}") from None
        except DatabaseError as error:
            raise CommandError(f"Run manage.py migrate first: {first_line(error)}") from None
        except OSError as error:
            raise CommandError(f"DATA_DIR/demo.json cannot be used: {error.strerror}.") from None

    def print(self, demo: Demo, as_json: bool) -> None:
        for sentence in demo.repaired:
            self.stderr.write(sentence)
        login = demo.login
        if as_json:
            self.stdout.write(json.dumps(login, separators=(",", ":")))
            return
        [instance] = login["instances"]
        self.stdout.write(
            f"Sign in at   {login['site']}/accounts/login/\n"
            f"e-mail       {login['email']}\n"
            f"password     {login['password']}\n"
            f"account key  {login['uid']}\n"
            f"instance     {instance['id']}\n"
            f"  apiUrl     {instance['apiUrl']}\n"
            f"  token      {instance['token']}"
        )


def update_urls() -> None:
    """Update the URLs in the file after a change of SITE_URL or PORT; changes nothing else."""
    login = read_login()
    if login and login.get("site") != settings.SITE_URL:
        for instance in login.get("instances", []):
            instance["apiUrl"] = f"{settings.SITE_URL}/instance{instance['id']}/"
        write_login(login | {"site": settings.SITE_URL})


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
