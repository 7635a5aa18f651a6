"""Which channels push or are received from. A channel that can do both decides by this site's URL: is_pushed()."""

from __future__ import annotations

from instances.channels import CHANNELS
from instances.channels.base import Channel
from instances.channels.linking import Linkable
from instances.channels.receiving import Pushing, PushingOrReceiving, Receiving
from instances.models import ChannelLink


def is_received_from(channel: Channel) -> bool:
    """Returns whether a receiver polls, or holds a connection. Otherwise the messenger pushes, or neither is needed."""
    if isinstance(channel, PushingOrReceiving):
        return not channel.is_pushed()
    return isinstance(channel, Receiving)


def pushing_channel(name: str) -> Pushing | None:
    """Returns the channel of this name if its messenger can push: what was on its way before a change is taken too."""
    channel = CHANNELS.get(name)
    return channel if isinstance(channel, Pushing) else None


def pushes_always(name: str) -> bool:
    """Returns whether the messenger pushes in any case: a channel that is received from may have callbacks besides."""
    channel = CHANNELS.get(name)
    return isinstance(channel, Pushing) and not isinstance(channel, PushingOrReceiving)


def receiving_channel(name: str) -> Receiving | None:
    """Returns the channel of this name if it is received from."""
    channel = CHANNELS.get(name)
    return channel if isinstance(channel, Receiving) and is_received_from(channel) else None


def linkable_channel(name: str) -> Linkable | None:
    """Returns the channel of this name if an instance is linked by values that people enter."""
    channel = CHANNELS.get(name)
    return channel if isinstance(channel, Linkable) else None


def linkable_names() -> list[str]:
    """Returns the names of the channels that are linked by values that people enter."""
    return [name for name, channel in CHANNELS.items() if isinstance(channel, Linkable)]


def receiving_names() -> list[str]:
    """Returns the names of the channels that are received from."""
    return [name for name, channel in CHANNELS.items() if is_received_from(channel)]


def resident_names() -> list[str]:
    """Returns the names of the channels that need a receiver: for their callbacks, to receive, or to check links."""
    return [name for name, channel in CHANNELS.items() if isinstance(channel, Pushing | Receiving | Linkable)]


def is_wanted() -> bool:
    """Returns whether an instance needs a receiver. No query while all channels do without, at most one otherwise."""
    names = resident_names()
    return bool(names) and ChannelLink.objects.filter(channel__in=names).exists()
