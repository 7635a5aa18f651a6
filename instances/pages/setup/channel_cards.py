"""The channels as the page "New instance" shows them: what each is, can do, cannot do, and what one needs for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from instances.channels import CHANNELS, offered_channels
from instances.channels.base import Button, Can, Channel
from instances.channels.linking import Linkable
from instances.models import Channel as ChannelName
from instances.models import MessageType
from instances.pages.channel_icons import channel_icon

SUMMARIES = {
    ChannelName.SANDBOX.value: "A simulated messenger with its own phone and contacts. No message leaves this site.",
}
# What can be sent, in the order of the card.
SENT = (
    MessageType.CHAT,
    MessageType.IMAGE,
    MessageType.VIDEO,
    MessageType.PTT,
    MessageType.DOCUMENT,
    MessageType.STICKER,
    MessageType.LOCATION,
    MessageType.VCARD,
)
TICKS = {Can.DELIVERED: "delivered", Can.VIEWED: "read"}


class ChannelCard(NamedTuple):
    """`can`, `cannot`, `facts` and `needs` are sentences."""

    name: str
    title: str
    summary: str
    icon: str
    can: Sequence[str]
    cannot: Sequence[str]
    facts: Sequence[str] = ()
    needs: Sequence[str] = ()


def channel_cards() -> list[ChannelCard]:
    """Returns a card for each channel that can be chosen."""
    return [channel_card(name, label, CHANNELS[name]) for name, label in offered_channels()]


def channel_card(name: str, label: str, channel: Channel) -> ChannelCard:
    card = ChannelCard(
        name,
        label,
        SUMMARIES.get(name, ""),
        channel_icon(name),
        abilities(channel),
        missing(channel),
    )
    if not isinstance(channel, Linkable):
        return card
    setup = channel.setup
    return card._replace(title=setup.title, summary=setup.summary, facts=setup.facts, needs=setup.needs)


def missing(channel: Channel) -> list[str]:
    """Returns the sentences of `cannot`, each once, without those about buttons and the code, which are not shown."""
    sentences = [
        str(sentence) for key, sentence in channel.cannot.items() if key not in Button and key != Can.SCAN
    ]
    return list(dict.fromkeys(sentences))


def abilities(channel: Channel) -> list[str]:
    """Returns what is not in the channel's `cannot`."""
    sent = [kind.label.lower() for kind in SENT if kind not in channel.cannot]
    ticks = ["sent", *(word for can, word in TICKS.items() if can not in channel.cannot)]
    found = [f"Sends {in_words(sent)}."] if sent else []
    found.append(f"Reports when a message is {in_words(ticks)}.")
    return found


def in_words(words: Sequence[str]) -> str:
    """Returns "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
