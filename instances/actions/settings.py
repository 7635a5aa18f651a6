"""Reads and changes an instance's settings, of which hooks.Endpoint holds four."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from hooks.actions.endpoints import ConflictingModes, configure
from instances.actions import events
from instances.actions.channel_links import reconnect_link
from instances.models import Instance
from instances.settings_table import ALL_SETTINGS, SETTINGS, Place, SettingsError, find, parse


def read_settings(instance: Instance) -> dict[str, Any]:
    """Returns all settings by wire name: those of contract.md section 2, in its order, then the product's own.

    An empty text is None.
    """
    return {setting.wire: setting.read(instance) for setting in ALL_SETTINGS}


def read_contract_settings(instance: Instance) -> dict[str, Any]:
    """Returns the settings of the wire contract by wire name, in its order. An empty text is None."""
    return {setting.wire: setting.read(instance) for setting in SETTINGS}


@transaction.atomic
def change_settings(
    instance: Instance, *, changes: Mapping[str, Any], acting_user: User | None = None
) -> dict[str, Any]:
    """Change settings by wire name. Returns those that have changed, in the order of read_settings().

    Raises:
        SettingsError: a key or value is invalid, or two values exclude each other; nothing was changed.
    """
    wanted = {find(name).wire: parse(find(name), value) for name, value in changes.items()}
    events.lock(instance)
    before = read_settings(instance)
    changed = {
        setting.wire: wanted[setting.wire]
        for setting in ALL_SETTINGS
        if setting.wire in wanted and wanted[setting.wire] != before[setting.wire]
    }
    own: dict[str, Any] = {}
    endpoint: dict[str, Any] = {}
    for setting in ALL_SETTINGS:
        if setting.wire in changed:
            value = "" if changed[setting.wire] is None else changed[setting.wire]
            (own if setting.place is Place.INSTANCE else endpoint)[setting.field] = value
    if endpoint:
        try:
            configure(instance.endpoint, **endpoint)
        except ConflictingModes as error:
            key = "strictOrder" if changed.get("strictOrder") else "parallelHooks"
            raise SettingsError(key, str(error)) from None
    if own:
        for field, value in own.items():
            setattr(instance, field, value)
        instance.save(update_fields=list(own))
    if "proxy" in own:
        reconnect_link(instance)
    if changed:
        audit.record(instance, AuditAction.SETTINGS_CHANGED, acting_user=acting_user, changed=list(changed))
    return changed
