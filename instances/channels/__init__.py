"""The channels by name; a new one is a folder here, a line in CHANNELS and a value of models.Channel."""

from instances.channels.base import Channel
from instances.channels.matrix.channel import MatrixChannel
from instances.channels.sandbox.channel import SandboxChannel
from instances.channels.telegram.channel import TelegramChannel
from instances.channels.waha.channel import WahaChannel
from instances.channels.whatsapp_cloud.channel import WhatsAppCloudChannel
from instances.channels.xmpp.channel import XmppChannel
from instances.models import Channel as ChannelName
from instances.models import Instance

CHANNELS: dict[str, Channel] = {
    ChannelName.SANDBOX: SandboxChannel(),
    ChannelName.WHATSAPP_CLOUD: WhatsAppCloudChannel(),
    ChannelName.MATRIX: MatrixChannel(),
    ChannelName.TELEGRAM: TelegramChannel(),
    ChannelName.WAHA: WahaChannel(),
    ChannelName.XMPP: XmppChannel(),
}


def offered_channels() -> list[tuple[str, str]]:
    """Returns the channels that an instance can have, with their labels."""
    labels = dict(ChannelName.choices)
    return [(name, labels.get(name, name)) for name in CHANNELS]


def channel_of(instance: Instance) -> Channel:
    return CHANNELS[instance.channel]
