"""Reads and changes an instance's settings, of which hooks.Endpoint holds three."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from hooks.actions.endpoints import configure
from instances.actions import events
from instances.models import Instance
from instances.settings_table import SETTINGS, Place, find, parse


def read_settings(instance: Instance) -> dict[str, Any]:
    """Returns all settings by wire name, in the order of contract.md section 2. An empty text is None."""
    return {setting.wire: setting.read(instance) for setting in SETTINGS}


@transaction.atomic
def change_settings(
    instance: Instance, *, changes: Mapping[str, Any], acting_user: User | None = None
) -> dict[str, Any]:
    """Change settings by wire name. Returns those that have changed, in the contract's order.

    Raises:
        SettingsError: a key or value is invalid; nothing was changed.
    """
    wanted = {find(name).wire: parse(find(name), value) for name, value in changes.items()}
    events.lock(instance)
    before = read_settings(instance)
    changed = {
        setting.wire: wanted[setting.wire]
        for setting in SETTINGS
        if setting.wire in wanted and wanted[setting.wire] != before[setting.wire]
    }
    own: dict[str, Any] = {}
    endpoint: dict[str, Any] = {}
    for setting in SETTINGS:
        if setting.wire in changed:
            value = "" if changed[setting.wire] is None else changed[setting.wire]
            (own if setting.place is Place.INSTANCE else endpoint)[setting.field] = value
    if own:
        for field, value in own.items():
            setattr(instance, field, value)
        instance.save(update_fields=list(own))
    if endpoint:
        configure(instance.endpoint, **endpoint)
    if changed:
        audit.record(instance, AuditAction.SETTINGS_CHANGED, acting_user=acting_user, changed=list(changed))
    return changed
