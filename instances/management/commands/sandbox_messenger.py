"""`manage.py sandbox_messenger`: the messenger that the sandbox talks to with SANDBOX_OVER_HTTP."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from instances.channels.sandbox.messenger.server import serve

PORT = 8089  # of the default of SANDBOX_MESSENGER_URL


class Command(BaseCommand):
    help = (
        "Serve the sandbox messenger until SIGTERM or Ctrl-C, without a database (docs/sandbox-messenger.md)."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
        parser.add_argument(
            "--port", type=int, default=PORT, help=f"port to listen on ({PORT}); 0: a free one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asyncio.run(serve(options["host"], options["port"], self.tell_ready))
        except OSError as error:
            raise CommandError(f"The sandbox messenger does not start: {error}.") from error

    def tell_ready(self, url: str) -> None:
        self.stdout.write(f"Ready: {url}")
        self.stdout.flush()
