"""The composition root as a Django app: its commands and its system checks."""

from django.apps import AppConfig


class ChatapiConfig(AppConfig):
    name = "chatapi"

    def ready(self) -> None:
        from chatapi import (
            checks,  # noqa: F401 - the import registers them
            trail,
        )
        from hooks import telling

        telling.connect(trail.note_deed)
