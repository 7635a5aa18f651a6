"""The project as a Django app: it connects the apps, and has commands and system checks."""

from django.apps import AppConfig


class ChatapiConfig(AppConfig):
    name = "chatapi"

    def ready(self) -> None:
        from chatapi import (
            checks,  # noqa: F401 - the import registers the system checks
            hook_audit,
        )
        from chatapi.monitoring.uncaught import is_service, log_uncaught_errors
        from chatapi.ui.frame import Place, register_part
        from chatapi.ui.menu import Audience, MenuEntry, register
        from hooks import audit

        if is_service():
            log_uncaught_errors()
        register(MenuEntry(510, "Support desk", "admin:index", "shield-lock", audience=Audience.STAFF))
        register_part(Place.BANNERS, 10, "chatapi/staff/impersonation.html")
        audit.connect(hook_audit.record_hook_action)
        register_part(Place.ACCOUNT, 10, "chatapi/account_data/card.html")
