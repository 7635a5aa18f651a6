"""`manage.py demo --json`: the demo account's login for programs and people; made if it is missing, else as it was."""

import json
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, OperationalError

from accounts.models import Account
from chatapi.demo_account.account import EMAIL, Demo, DemoBlocked, keep, kept_login, make_demo

REFUSAL = (
    "DATABASE_URL is set, so this may be a real site, and the demo account's login is stored in plain text in "
    "DATA_DIR/demo.json; give --force to make it all the same."
)


class Command(BaseCommand):
    help = "Makes the demo account with a paid and authenticated sandbox instance, and prints its login."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="one line of JSON, and nothing else, on stdout"
        )
        parser.add_argument("--force", action="store_true", help="also against a DATABASE_URL")

    # `manage.py up` passes first_start: it makes the account once, and then never resets what people changed.
    stealth_options = ("first_start",)

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.EMBEDDED_POSTGRES and not options["force"]:
            raise CommandError(REFUSAL)
        try:
            if options.get("first_start"):
                made_before = Account.objects.filter(owner__email=EMAIL).exists()
                return follow_site() if made_before else self.print(make_demo(), options["json"])
            if settings.EMBEDDED_POSTGRES:
                call_command("migrate", interactive=False, verbosity=0)
            self.print(make_demo(), options["json"])
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


def follow_site() -> None:
    """The file's addresses follow SITE_URL and PORT; nothing else is looked at."""
    login = kept_login()
    if login and login.get("site") != settings.SITE_URL:
        for instance in login.get("instances", []):
            instance["apiUrl"] = f"{settings.SITE_URL}/instance{instance['id']}/"
        keep(login | {"site": settings.SITE_URL})


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
