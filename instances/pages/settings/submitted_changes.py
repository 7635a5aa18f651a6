"""A form of settings as it was sent back: what differs from what the page had shown, and nothing else.

Each setting of the form stands in `shown`, with its value on the page in `was-<name>`; so what somebody else changes
while the page is open is not undone by saving something different. A box that is not ticked is not sent at all.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from django.http import QueryDict


class Change(NamedTuple):
    """One setting that differs, as people write its values."""

    name: str
    old: str
    new: str


def words(value: Any) -> str:
    """A value as the page says it: "on", "off", "none", a number or a text."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def field_value(value: Any) -> str:
    """A value as a field of the form holds it."""
    return "" if value is None else words(value) if isinstance(value, bool) else str(value)


def asked(data: QueryDict, known: Collection[str], switches: Collection[str]) -> dict[str, Any]:
    """The changes by wire name, ready for actions.change_settings; names that are not `known` are left out."""
    changes: dict[str, Any] = {}
    for name in data.getlist("shown"):
        if name not in known:
            continue
        new = ("on" if name in data else "off") if name in switches else data.get(name, "").strip()
        if new != data.get(f"was-{name}", ""):
            changes[name] = new == "on" if name in switches else new
    return changes


def made(before: dict[str, Any], changed: dict[str, Any]) -> list[Change]:
    """What was saved, from the settings as they were and from what change_settings has returned."""
    return [Change(name, words(before[name]), words(value)) for name, value in changed.items()]
