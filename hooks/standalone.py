"""Runs an endless task in its own process, beside or instead of the worker's: `manage.py dispatch`, `send`, `receive`.

Any number may run, on several machines. They use slots of their own, so the worker's runs are not replaced.
"""

from __future__ import annotations

import os
import signal
from typing import Protocol

from django.core.checks import run_checks
from django.core.checks.registry import Tags
from django.core.management.base import CommandError

from hooks import worker_slots
from hooks.models import Role

# All checks would import every page: 35 MB that such a process does not need.
SYSTEM_CHECKS = ["settings"]


class Run(Protocol):
    """Works until the hand-over is due, the slot is lost, or `stop_fd` is readable."""

    def __call__(self, worker_slot: worker_slots.WorkerSlot, *, stop_fd: int | None) -> object: ...


def run_until_stopped(role: Role, run: Run) -> None:
    """Run the task until SIGTERM or Ctrl-C.

    Raises:
        CommandError: a check of the database fails, or all slots are taken.
    """
    # a key of SECRETS_KEY is missing, or advisory locks have no effect
    for fault in run_checks(tags=[Tags.database], databases=["default"]):
        raise CommandError(f"{fault.msg} {fault.hint or ''}".strip())
    stop_reader, stop_writer = os.pipe()

    def stop(_signal: int, _frame: object) -> None:
        os.write(stop_writer, b"!")

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    slots = range(worker_slots.EXTRA_SLOTS, 2 * worker_slots.EXTRA_SLOTS)
    # A run ends after an hour, or if the slot is lost with the database connection. Then the next run starts.
    while not worker_slots.is_stop_requested(stop_reader):
        with worker_slots.hold_slot(role, slots) as worker_slot:
            if worker_slot is None:
                raise CommandError(f"All slots of this role ({role.label}) are taken.")
            run(worker_slot, stop_fd=stop_reader)
