"""A submitted settings form: only what differs from what the page showed.

Each setting of the form is listed in `shown`, with the value the page showed in `was-<name>`, so saving does not undo
what another user changed while the page was open. Browsers do not send an unchecked checkbox.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from django.http import QueryDict


class Change(NamedTuple):
    """One changed setting, with its values in words."""

    name: str
    old: str
    new: str


def words(value: Any) -> str:
    """A value as the page shows it: "on", "off", "none", a number or a text."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def field_value(value: Any) -> str:
    """The value of a form field."""
    return "" if value is None else words(value) if isinstance(value, bool) else str(value)


def read_changes(data: QueryDict, known: Collection[str], switches: Collection[str]) -> dict[str, Any]:
    """The changes by wire name, ready for actions.change_settings; names that are not `known` are left out."""
    changes: dict[str, Any] = {}
    for name in data.getlist("shown"):
        if name not in known:
            continue
        new = ("on" if name in data else "off") if name in switches else data.get(name, "").strip()
        if new != data.get(f"was-{name}", ""):
            changes[name] = new == "on" if name in switches else new
    return changes


def describe_changes(before: dict[str, Any], changed: dict[str, Any]) -> list[Change]:
    """The saved changes, from the settings before and the result of change_settings."""
    return [Change(name, words(before[name]), words(value)) for name, value in changed.items()]
