"""The settings of an instance, described once: wire name, model field, accepted values.

Order and defaults of SETTINGS are those of contract.md, section 2. The wire contract, the pages and the docs read this
table, so a new setting is a model field and a line here. The wire contract does not have OWN_SETTINGS.
"""

import enum
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hooks.models import GUARANTEED_ATTEMPTS, Kind
from hooks.urls import webhook_urls
from instances import value_parsing
from instances.models import Instance

YEAR = 31_536_000  # seconds
PROXY_LENGTH = 100  # characters of its column


class SettingsError(ValueError):
    """A setting does not accept a value: `key` is its wire name, `sentence` says what it accepts."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key
        self.sentence = sentence


class Place(enum.Enum):
    """The model of a setting: the instance, or the endpoint, which says where and how hooks are sent."""

    INSTANCE = "instance"
    ENDPOINT = "endpoint"


def parse_seconds(value: Any) -> int:
    """A whole number of seconds, up to a year."""
    try:
        return value_parsing.parse_whole_number(value, most=YEAR)
    except ValueError:
        raise ValueError(f"a whole number of seconds from 0 to {YEAR}") from None


def parse_url(value: Any) -> str | None:
    """An http or https URL, as it was given; null or empty for none."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("an http or https URL, or null")
    try:
        webhook_urls.check(value)
        return value.strip()
    except webhook_urls.InvalidUrl as error:
        raise ValueError(f"an http or https URL, or null: {error}") from error


def parse_proxy(value: Any) -> str | None:
    """`ip:port` of a SOCKS5 proxy, with an IPv6 address in brackets; null or empty for none."""
    if value is None or value == "":
        return None
    takes = ValueError("ip:port of a SOCKS5 proxy, or null")
    if not isinstance(value, str) or len(value) > PROXY_LENGTH:  # an IPv6 zone may have any length
        raise takes
    host, _, port = value.strip().rpartition(":")
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        if not 1 <= value_parsing.parse_whole_number(port) <= 65535:
            raise takes
    except ValueError:
        raise takes from None
    return f"{host}:{port.strip()}"


@dataclass(frozen=True)
class Setting:
    """One setting. `parse` raises ValueError with what it accepts; `unit` is what a number counts."""

    wire: str
    field: str
    parse: Callable[[Any], Any]
    sentence: str
    place: Place = Place.INSTANCE
    aliases: tuple[str, ...] = ()
    unit: str = ""
    shown_field: str = ""  # the attribute that `read` returns, if it is not `field`

    @property
    def description(self) -> str:
        """The sentence, with the unit: for places that do not show it beside the value."""
        return f"{self.sentence} Unit: {self.unit}." if self.unit else self.sentence

    def read(self, instance: Instance) -> Any:
        """Returns the value as the wire contract shows it."""
        holder = instance if self.place is Place.INSTANCE else instance.endpoint
        value = getattr(holder, self.shown_field or self.field)
        return None if value == "" else value


SETTINGS = (
    Setting(
        "sendDelay",
        "send_delay",
        parse_seconds,
        "The pause between two outgoing messages.",
        unit="seconds",
    ),
    Setting(
        "webhookUrl",
        "url",
        parse_url,
        "The URL that receives the hooks of this instance.",
        Place.ENDPOINT,
        shown_field="shown_url",
    ),
    Setting(
        "instanceStatuses",
        "instance_statuses",
        value_parsing.parse_bool,
        "Record the status history: for the page “Status history” and the API method instanceStatuses.",
    ),
    Setting(
        "webhookStatuses",
        "webhook_statuses",
        value_parsing.parse_bool,
        "Record the result of each message's hook, for the API method webhookStatus.",
    ),
    Setting(
        "statusNotificationsOn",
        "status_notifications_on",
        value_parsing.parse_bool,
        "Send a hook when the instance's status changes: linked, logged out, phone offline.",
    ),
    Setting(
        "ackNotificationsOn",
        "ack_notifications_on",
        value_parsing.parse_bool,
        "Send a hook when an outgoing message is sent, delivered or viewed.",
        aliases=("recognotificationson",),  # a misspelling in the help article that clients use
    ),
    Setting(
        "chatUpdateOn",
        "chat_update_on",
        value_parsing.parse_bool,
        "Send a hook when a chat is new or changes: its name, its picture, its members.",
    ),
    Setting(
        "videoUploadOn",
        "video_upload_on",
        value_parsing.parse_bool,
        "Upload incoming videos, and put their URL into the “body” of the hook.",
    ),
    Setting(
        "proxy",
        "proxy",
        parse_proxy,
        "The SOCKS5 proxy through which the instance connects to its messenger.",
    ),
    Setting(
        "guaranteedHooks",
        "guaranteed",
        value_parsing.parse_bool,
        f"Retry a hook until your server responds with 200: up to {GUARANTEED_ATTEMPTS} attempts instead of 1.",
        Place.ENDPOINT,
    ),
    Setting(
        "ignoreOldMessages",
        "ignore_old_messages",
        value_parsing.parse_bool,
        "Send no hook for a message that is older than oldMessagesPeriod when it arrives.",
    ),
    Setting(
        "oldMessagesPeriod",
        "old_messages_period",
        parse_seconds,
        "The age at which a message is old.",
        unit="seconds",
    ),
    Setting(
        "processArchive",
        "process_archive",
        value_parsing.parse_bool,
        "Send hooks for messages in archived chats too.",
    ),
    Setting(
        "disableDialogsArchive",
        "disable_dialogs_archive",
        value_parsing.parse_bool,
        "Keep archived chats archived when a message arrives.",
    ),
    Setting(
        "parallelHooks",
        "parallel",
        value_parsing.parse_bool,
        "Send up to 16 hooks at a time, in any order, instead of one after another.",
        Place.ENDPOINT,
    ),
)

OWN_SETTINGS = (
    Setting(
        "strictOrder",
        "strict",
        value_parsing.parse_bool,
        "Send a hook only after every older hook of this instance has been delivered or has failed for good.",
        Place.ENDPOINT,
    ),
)
ALL_SETTINGS = (*SETTINGS, *OWN_SETTINGS)

# The setting without which hooks of a kind are skipped; messages have none.
FLAGS_OF_KINDS = {
    Kind.ACK: "ackNotificationsOn",
    Kind.STATUS: "statusNotificationsOn",
    Kind.CHAT: "chatUpdateOn",
}

_BY_NAME = {name.lower(): setting for setting in ALL_SETTINGS for name in (setting.wire, *setting.aliases)}


def find(name: str) -> Setting:
    """Returns the setting with this name or alias, in any case. Raises SettingsError."""
    try:
        return _BY_NAME[name.lower()]
    except KeyError:
        raise SettingsError(name, f"`{name}` is not a setting.") from None


def parse(setting: Setting, value: Any) -> Any:
    """Returns `value` as the setting stores it. Raises SettingsError."""
    try:
        return setting.parse(value)
    except ValueError as error:
        sentence = f"`{setting.wire}` must be {error}"
        raise SettingsError(setting.wire, sentence if sentence.endswith(".") else f"{sentence}.") from error
