"""The composition root as a Django app: its commands and its system checks."""

from django.apps import AppConfig


class ChatapiConfig(AppConfig):
    name = "chatapi"

    def ready(self) -> None:
        from chatapi import (
            checks,  # noqa: F401 - the import registers the system checks
            hook_audit,
        )
        from hooks import audit

        audit.connect(hook_audit.note_deed)
