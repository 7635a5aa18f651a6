"""`manage.py standby`: see chatapi/runtime/standby.py."""

from typing import Any

from django.core.management.base import BaseCommand

from chatapi.runtime.processes import end_with_parent
from chatapi.runtime.standby import Standby
from chatapi.runtime.start_checks import raise_on_wrong_database


class Command(BaseCommand):
    help = "Waits, and continues deliveries, sending and receiving when a process of the worker has died."
    requires_system_checks = ["settings"]  # all checks would import every page

    def handle(self, *args: Any, **options: Any) -> None:
        end_with_parent()
        raise_on_wrong_database()
        Standby().run()
