"""The account that an instance is linked to, as its card and the setup show it: a form, and what is saved.

A saved secret is never shown again: only its last characters, so that people recognise which one it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chatapi.encryption.cipher import UnreadableSecret
from instances.channels.linking import LinkField, LinkSetup
from instances.models import ChannelLink, Instance
from instances.receiving.links import linkable_channel

TAIL = 4  # characters of a secret that are shown …
MIN_SECRET = 16  # … if it has at least this many


class FieldRow(NamedTuple):
    """`value` is empty for secrets; `saved` says in words which one is kept if it is left empty."""

    field: LinkField
    value: str
    saved: str
    error: str

    @property
    def id(self) -> str:
        return f"link_{self.field.name}"


class AccountCard(NamedTuple):
    """`link` is None until values were saved. `error` is about no field."""

    setup: LinkSetup
    link: ChannelLink | None
    rows: Sequence[FieldRow]
    error: str = ""

    @property
    def has_error(self) -> bool:
        return bool(self.error) or any(row.error for row in self.rows)

    @property
    def shown_options(self) -> list[tuple[str, str]]:
        """The labels and saved values of fields that are not secret, and what the account's server lacks."""
        options = self.link.options if self.link else {}
        shown = [
            (field.label, options.get(field.name, "")) for field in self.setup.fields if not field.is_secret
        ]
        shown.append(("missing at the server", options.get("missing", "")))
        return [(label, value) for label, value in shown if value]


def account_card(
    instance: Instance, typed: Mapping[str, str] | None = None, *, error: str = "", field: str = ""
) -> AccountCard | None:
    """Returns the card; None if the channel is not linked by values. One query, or none.

    `typed` are the values that were refused: `error` is about the field of that name, or about none.
    """
    channel = linkable_channel(instance.channel)
    if channel is None:
        return None
    link = ChannelLink.objects.filter(instance=instance, channel=instance.channel).first()
    if link is not None:
        link.instance = instance
    names = {one.name for one in channel.setup.fields}
    rows = [
        field_row(one, link, typed or {}, error if one.name == field else "") for one in channel.setup.fields
    ]
    return AccountCard(channel.setup, link, rows, "" if field in names else error)


def field_row(field: LinkField, link: ChannelLink | None, typed: Mapping[str, str], error: str) -> FieldRow:
    if field.is_secret:
        return FieldRow(field, "", saved_secret(field, link), error)
    saved = link.options.get(field.name, "") if link else ""
    return FieldRow(field, typed.get(field.name, saved or field.default), "", error)


def saved_secret(field: LinkField, link: ChannelLink | None) -> str:
    """Returns words for the saved value of a secret; empty if there is none."""
    try:
        secret = link.credentials.get(field.name, "") if link else ""
    except UnreadableSecret:
        return ""
    if not secret:
        return ""
    return f"Saved, ends with …{secret[-TAIL:]}" if len(secret) >= MIN_SECRET else "Saved"


def mistake_while_typing(instance: Instance, name: str, value: str) -> tuple[FieldRow, str] | None:
    """Returns the field with its value's mistake, or with "", for the message under it; None without such a field."""
    card = account_card(instance)
    row = next((row for row in card.rows if row.field.name == name), None) if card else None
    if row is None:
        return None
    value = value.strip()
    return row, "" if row.saved and not value else row.field.mistake_of(value)
