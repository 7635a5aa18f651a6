"""`manage.py send`: a sender in a process of its own, beside or instead of the worker's."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from hooks.models import Role
from hooks.standalone import SYSTEM_CHECKS, run_until_stopped
from instances.sending.sender import run


class Command(BaseCommand):
    help = "Send messages in this process until SIGTERM or Ctrl-C. Several may run, on several machines."
    requires_system_checks = SYSTEM_CHECKS

    def handle(self, *args: Any, **options: Any) -> None:
        run_until_stopped(Role.OUTGOING, run)
