"""The settings beside the address and the six flags, in words: what each does, and what follows from it.

`name` is the wire contract's (contract.md, section 2, Settings).
"""

from __future__ import annotations

from typing import NamedTuple


class AdvancedSetting(NamedTuple):
    """One setting; `unit` is what a number counts, `placeholder` an example of a text; a switch has neither."""

    name: str
    sentence: str
    on: str
    off: str
    unit: str = ""
    placeholder: str = ""

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
                "A pause between two messages that are sent.",
                "Messages wait in the queue, in their order; a person writes no faster either.",
                "0: each goes as soon as the one before is out.",
                unit="seconds",
            ),
        ),
    ),
    Group(
        "Old messages",
        (
            AdvancedSetting(
                "ignoreOldMessages",
                "No hook for a message that was old already when it came, such as after a night without the phone.",
                "Old messages are kept and can be read, but your server hears nothing of them.",
                "While it is off, every message makes a hook, however late it comes.",
            ),
            AdvancedSetting(
                "oldMessagesPeriod",
                "The age from which a message is old.",
                "It counts only while ignoreOldMessages is on.",
                "",
                unit="seconds",
            ),
        ),
    ),
    Group(
        "What is kept",
        (
            AdvancedSetting(
                "instanceStatuses",
                "Keep the history of the status: the page “Status history”, and instanceStatuses of the API.",
                "Every change is kept with its time.",
                "While it is off, no change is kept, and the history has a gap.",
            ),
            AdvancedSetting(
                "webhookStatuses",
                "Let webhookStatus of the API tell what became of a message's hook.",
                "The API answers “sent”, “not sent” or “queued” for every message.",
                "While it is off, that method answers nothing; the delivery log is there all the same.",
            ),
        ),
    ),
    Group(
        "Chats and connection",
        (
            AdvancedSetting(
                "processArchive",
                "Also work on chats that are archived.",
                "What comes in an archived chat makes a hook as everywhere.",
                "While it is off, a message in an archived chat makes no hook; the log keeps it as skipped.",
            ),
            AdvancedSetting(
                "disableDialogsArchive",
                "Leave archived chats in the archive when a message comes.",
                "An archived chat stays archived.",
                "While it is off, a new message takes its chat out of the archive.",
            ),
            AdvancedSetting(
                "proxy",
                "A SOCKS5 proxy through which the instance reaches its messenger.",
                "The messenger sees the proxy's address instead of this server's.",
                "Empty: no proxy.",
                placeholder="203.0.113.7:1080",
            ),
        ),
    ),
)
SETTINGS = tuple(setting for group in GROUPS for setting in group.settings)
