"""`manage.py send`: a sender in a process of its own, beside or instead of the worker's."""

from __future__ import annotations

import os
import signal
from typing import Any

from django.core.checks import Tags, run_checks
from django.core.management.base import BaseCommand, CommandError

from hooks import worker_slots
from hooks.models import Role
from instances.sending.sender import run


class Command(BaseCommand):
    help = "Send messages in this process until SIGTERM or Ctrl-C. Several may run, on several machines."
    requires_system_checks = ["settings"]  # all checks would import every page

    def handle(self, *args: Any, **options: Any) -> None:
        # a key of SECRETS_KEY is missing, or advisory locks have no effect
        for fault in run_checks(tags=[Tags.database], databases=["default"]):
            raise CommandError(f"{fault.msg} {fault.hint or ''}".strip())
        stop_reader, stop_writer = os.pipe()

        def stop(_signal: int, _frame: object) -> None:
            os.write(stop_writer, b"!")

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        # A run ends after an hour, or if the slot is lost with the database connection. Then the next run starts.
        while not worker_slots.is_stop_requested(stop_reader):
            with worker_slots.hold_slot(
                Role.OUTGOING, range(worker_slots.EXTRA_SLOTS, 2 * worker_slots.EXTRA_SLOTS)
            ) as worker_slot:
                if worker_slot is None:
                    raise CommandError("All sender slots are taken.")
                run(worker_slot, stop_fd=stop_reader)
