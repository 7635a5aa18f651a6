"""The rows of the forms of settings: each setting in words, as it is and as it was typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from instances.pages.settings.advanced_settings import GROUPS, AdvancedSetting
from instances.pages.settings.flag_texts import FLAGS, Flag
from instances.pages.settings.submitted_changes import field_value


class FlagRow(NamedTuple):
    """`was` is the saved value, `on` the position of the switch; `skipped` counts today's hooks skipped by it."""

    flag: Flag
    was: bool
    on: bool
    skipped: int


class MoreRow(NamedTuple):
    setting: AdvancedSetting
    was: str
    value: str
    is_wrong: bool


def flag_rows(
    settings: Mapping[str, Any], skipped: Mapping[str, int], typed: Mapping[str, Any] | None = None
) -> list[FlagRow]:
    """`typed` are changes that were refused, and stay in their place."""
    typed = typed or {}
    return [
        FlagRow(
            flag,
            bool(settings[flag.name]),
            bool(typed.get(flag.name, settings[flag.name])),
            skipped[flag.kind] if flag.kind else 0,
        )
        for flag in FLAGS
    ]


def more_groups(
    settings: Mapping[str, Any], typed: Mapping[str, Any] | None = None, wrong: str = ""
) -> list[tuple[str, list[MoreRow]]]:
    typed = typed or {}
    groups = []
    for title, more in GROUPS:
        rows = [
            MoreRow(
                setting,
                field_value(settings[setting.name]),
                field_value(typed.get(setting.name, settings[setting.name])),
                setting.name == wrong,
            )
            for setting in more
        ]
        groups.append((title, rows))
    return groups
