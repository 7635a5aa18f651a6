"""`manage.py up`: see chatapi/runtime/up.py."""

from typing import Any

from django.core.management.base import BaseCommand

from chatapi.runtime.up import Product


class Command(BaseCommand):
    help = "Starts database, web server and worker, and supervises them until Ctrl-C."
    # `raise_on_wrong_settings` reports each failed check in one sentence.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        Product(self.stdout).run_until_stopped()
