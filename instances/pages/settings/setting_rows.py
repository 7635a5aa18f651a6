"""The rows of the settings forms: each setting with its saved value and the submitted one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from instances.pages.settings.advanced_settings import GROUPS, AdvancedSetting
from instances.pages.settings.flag_texts import FLAGS, Flag
from instances.pages.settings.submitted_changes import field_value


class FlagRow(NamedTuple):
    """`was` is the saved value, `on` the position of the switch; `skipped` counts the hooks it skipped today."""

    flag: Flag
    was: bool
    on: bool
    skipped: int


class SettingRow(NamedTuple):
    """`was` is the saved value, `value` the one in the form."""

    setting: AdvancedSetting
    was: str
    value: str
    is_invalid: bool


def build_flag_rows(
    settings: Mapping[str, Any], skipped: Mapping[str, int], submitted: Mapping[str, Any] | None = None
) -> list[FlagRow]:
    """Returns the rows of the flags. `submitted`: changes that were refused; the form keeps them."""
    submitted = submitted or {}
    return [
        FlagRow(
            flag,
            bool(settings[flag.name]),
            bool(submitted.get(flag.name, settings[flag.name])),
            skipped[flag.kind] if flag.kind else 0,
        )
        for flag in FLAGS
    ]


def build_setting_groups(
    settings: Mapping[str, Any], submitted: Mapping[str, Any] | None = None, invalid_name: str = ""
) -> list[tuple[str, list[SettingRow]]]:
    """Returns the rows of the other settings by title. `invalid_name`: the setting that was refused."""
    submitted = submitted or {}
    groups = []
    for title, group in GROUPS:
        rows = [
            SettingRow(
                setting,
                field_value(settings[setting.name]),
                field_value(submitted.get(setting.name, settings[setting.name])),
                setting.name == invalid_name,
            )
            for setting in group
        ]
        groups.append((title, rows))
    return groups
