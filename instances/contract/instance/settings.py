"""Settings and the webhook URL (contract.md §2)."""

from dataclasses import replace
from typing import Any

from instances import value_parsing
from instances.actions.settings import change_settings, read_contract_settings
from instances.contract.arguments import NOT_GIVEN, Argument, EmptyFormValue, last_if_repeated
from instances.contract.errors import BadArgument, CallFailed
from instances.contract.registry import method
from instances.models import Instance
from instances.settings_table import SETTINGS, YEAR, Setting, SettingsError, parse_seconds

# The types of settings, for OpenAPI. All others are a URL, an address or null.
SCHEMAS: dict[Any, dict[str, Any]] = {
    value_parsing.parse_bool: {"type": "boolean"},
    parse_seconds: {"type": "integer", "minimum": 0, "maximum": YEAR},
}
TEXT_OR_NULL = {"type": ["string", "null"]}


def setting_argument(setting: Setting) -> Argument:
    """A setting as an argument. The action gets its value as it was sent, and validates it."""
    schema = SCHEMAS.get(setting.parse, TEXT_OR_NULL)
    return Argument(
        setting.wire,
        last_if_repeated,
        setting.description,
        schema,
        aliases=setting.aliases,
        keyword=setting.wire,
    )


def unless_empty(value: Any) -> Any:
    """The value, but NOT_GIVEN for null and for an empty form field: clients send these for what they do not set."""
    value = last_if_repeated(value)
    return NOT_GIVEN if value is None or isinstance(value, EmptyFormValue) else value


@method(
    "settings",
    "GET",
    "POST",
    argument_in_path=True,
    gets_has_body=True,
    arguments=[replace(setting_argument(setting), parse=unless_empty) for setting in SETTINGS],
)
def settings(instance: Instance, *, has_body: bool, **changes: Any) -> dict[str, Any]:
    """Returns all settings. Changes those that are sent first, all or none; `update` has what changed.

    `settings/{name}` does the same with one setting. Null, or an empty form field, leaves a setting as it is; an empty
    JSON text removes the URL or the proxy.
    """
    if not changes and not has_body:
        return read_contract_settings(instance)
    try:
        changed = change_settings(instance, changes=changes)
    except SettingsError as error:
        raise BadArgument(error.sentence) from None
    return {**read_contract_settings(instance), "update": changed, "updated": changed}


@method(
    "webhook",
    "POST",
    "GET",
    failure_key="set",
    arguments=[setting_argument(setting) for setting in SETTINGS if setting.wire == "webhookUrl"],
)
def webhook(instance: Instance, **changes: Any) -> dict[str, Any]:
    """Sets the webhook URL, or returns it if none is sent. `set` is false if nothing changed."""
    if not changes:
        url = read_contract_settings(instance)["webhookUrl"]
        return {"set": False, "message": url or "", "webhookUrl": url}
    try:
        changed = change_settings(instance, changes=changes)
    except SettingsError as error:
        raise CallFailed(error.sentence) from None
    url = read_contract_settings(instance)["webhookUrl"]
    return {"set": bool(changed), "message": url or ""}
