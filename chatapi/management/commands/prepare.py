"""`manage.py prepare`: see chatapi/runtime/prepare.py."""

from typing import Any

from django.core.management.base import BaseCommand

from chatapi.runtime.prepare import prepare
from chatapi.runtime.start_checks import raise_on_wrong_settings


class Command(BaseCommand):
    help = (
        "Applies migrations and collects static files, before the web server and the worker start. "
        "`manage.py up` does the same."
    )
    # `raise_on_wrong_settings` reports each failed check in one sentence.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        for warning in raise_on_wrong_settings():
            self.stdout.write(f"Warning: {warning}")
        prepare(self.stdout.write)
