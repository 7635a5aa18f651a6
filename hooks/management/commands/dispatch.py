"""`manage.py dispatch`: a dispatcher alone in a process, beside or instead of the worker's."""

from __future__ import annotations

import os
import signal
from typing import Any

from django.core.management.base import BaseCommand

from hooks import loops
from hooks.dispatch.loop import run
from hooks.models import Role


class Command(BaseCommand):
    help = "Deliver hooks in this process until SIGTERM or Ctrl-C. Several may run, on several machines."

    def handle(self, *args: Any, **options: Any) -> None:
        heard, tell = os.pipe()

        def stop(_signal: int, _frame: object) -> None:
            os.write(tell, b"!")

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        again = True
        while again:  # a hand-over is to ourselves
            with loops.seat(Role.DISPATCH, range(loops.EXTRA_SLOTS, 2 * loops.EXTRA_SLOTS)) as seat:
                again = seat is not None and run(seat, stop_fd=heard)
