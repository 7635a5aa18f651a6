"""`manage.py worker`: see chatapi/runtime/worker.py."""

from typing import Any

from django.core.management.base import BaseCommand

from chatapi.runtime.processes import end_with_parent
from chatapi.runtime.start_checks import raise_on_wrong_database
from chatapi.runtime.worker import Worker


class Command(BaseCommand):
    help = "Runs the background work (django-q2's cluster) and restarts it if it ends or freezes."

    requires_system_checks = ["settings"]  # all checks would import every page

    def handle(self, *args: Any, **options: Any) -> None:
        end_with_parent()
        raise_on_wrong_database()
        Worker().run()
