"""`manage.py dispatch`: a dispatcher alone in a process, beside or instead of the worker's."""

from __future__ import annotations

import os
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hooks import worker_slots
from hooks.dispatch.loop import run
from hooks.models import Role


class Command(BaseCommand):
    help = "Deliver hooks in this process until SIGTERM or Ctrl-C. Several may run, on several machines."
    # all of the checks would load every page: 35 MB that a dispatcher has no use for
    requires_system_checks = ["settings"]

    def handle(self, *args: Any, **options: Any) -> None:
        heard, tell = os.pipe()

        def stop(_signal: int, _frame: object) -> None:
            os.write(tell, b"!")

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        # After an hour, or when the slot was lost with the database, the next run is this process's own.
        while not worker_slots.is_stop_requested(heard):
            with worker_slots.hold_slot(
                Role.DISPATCH, range(worker_slots.EXTRA_SLOTS, 2 * worker_slots.EXTRA_SLOTS)
            ) as worker_slot:
                if worker_slot is None:
                    raise CommandError("All the slots of dispatchers are taken.")
                run(worker_slot, stop_fd=heard)
