"""The settings other than the webhook URL and those of flag_texts, in groups, with the consequences of each.

`name` is the wire contract's (contract.md, section 2, Settings); settings_table has the sentences and units.
"""

from __future__ import annotations

from typing import NamedTuple

from instances import settings_table


class AdvancedSetting(NamedTuple):
    """One setting; `when_on` and `when_off` are its consequences, `placeholder` is an example of a text."""

    name: str
    when_on: str
    when_off: str
    placeholder: str = ""

    @property
    def sentence(self) -> str:
        return settings_table.find(self.name).sentence

    @property
    def unit(self) -> str:
        return settings_table.find(self.name).unit

    @property
    def is_switch(self) -> bool:
        return not self.unit and not self.placeholder


class Group(NamedTuple):
    title: str
    settings: tuple[AdvancedSetting, ...]


GROUPS = (
    Group(
        "Sending",
        (
            AdvancedSetting(
                "sendDelay",
                "Messages wait in the queue, in their order, as if a person typed them.",
                "0: each message is sent as soon as the previous one was.",
            ),
        ),
    ),
    Group(
        "Old messages",
        (
            AdvancedSetting(
                "ignoreOldMessages",
                "Messages that arrive late, such as after a night without the phone, can be read but create no hooks.",
                "While it is off, every message creates a hook, however late it arrives.",
            ),
            AdvancedSetting("oldMessagesPeriod", "Applies only while ignoreOldMessages is on.", ""),
        ),
    ),
    Group(
        "Recording",
        (
            AdvancedSetting(
                "instanceStatuses",
                "Every change is recorded with its time.",
                "While it is off, changes are not recorded, and the history has a gap.",
            ),
            AdvancedSetting(
                "webhookStatuses",
                "The API returns “sent”, “not sent” or “queued” for every message.",
                "While it is off, webhookStatus returns nothing; the delivery log still has all hooks.",
            ),
        ),
    ),
    Group(
        "Chats and connection",
        (
            AdvancedSetting(
                "processArchive",
                "A message in an archived chat creates a hook like any other.",
                "While it is off, these hooks are not sent; the log keeps them as skipped.",
            ),
            AdvancedSetting(
                "disableDialogsArchive",
                "An archived chat stays archived.",
                "While it is off, a new message moves its chat out of the archive.",
            ),
            AdvancedSetting(
                "proxy",
                "The messenger sees the proxy's IP address instead of this server's.",
                "Empty: no proxy.",
                placeholder="203.0.113.7:1080",
            ),
        ),
    ),
)
SETTINGS = tuple(setting for group in GROUPS for setting in group.settings)
