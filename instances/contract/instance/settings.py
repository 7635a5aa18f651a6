"""Settings and the webhook address (contract.md, section 2)."""

from typing import Any

from instances import value_parsing
from instances.actions.settings import change_settings, read_settings
from instances.contract.arguments import Argument, last
from instances.contract.errors import BadArgument, Refused
from instances.contract.registry import method
from instances.models import Instance
from instances.settings_table import SETTINGS, YEAR, Setting, SettingsError, seconds

# What a setting takes, for OpenAPI; anything else is an address or null.
SCHEMAS: dict[Any, dict[str, Any]] = {
    value_parsing.flag: {"type": "boolean"},
    seconds: {"type": "integer", "minimum": 0, "maximum": YEAR},
}
ADDRESS = {"type": "string", "nullable": True}


def argument_of(setting: Setting) -> Argument:
    """A setting as an argument: its value goes to the action as it came, which says what it takes."""
    schema = SCHEMAS.get(setting.parse, ADDRESS)
    return Argument(
        setting.wire, last, setting.meaning, schema, aliases=setting.aliases, keyword=setting.wire
    )


@method("settings", "GET", "POST", arguments=[argument_of(setting) for setting in SETTINGS])
def settings(instance: Instance, **changes: Any) -> dict[str, Any]:
    """All settings; those that are given are set first, all or none, and `update` says what is different now."""
    if not changes:
        return read_settings(instance)
    try:
        changed = change_settings(instance, changes)
    except SettingsError as error:
        raise BadArgument(error.sentence) from None
    return {**read_settings(instance), "update": changed, "updated": changed}


@method(
    "webhook",
    "POST",
    "GET",
    refusal="set",
    arguments=[argument_of(setting) for setting in SETTINGS if setting.wire == "webhookUrl"],
)
def webhook(instance: Instance, **changes: Any) -> dict[str, Any]:
    """Sets the address, or shows it when none is given; `set` is false when it was that already."""
    if not changes:
        url = read_settings(instance)["webhookUrl"]
        return {"set": False, "message": url or "", "webhookUrl": url}
    try:
        changed = change_settings(instance, changes)
    except SettingsError as error:
        raise Refused(error.sentence) from None
    url = read_settings(instance)["webhookUrl"]
    return {"set": bool(changed), "message": url or ""}
