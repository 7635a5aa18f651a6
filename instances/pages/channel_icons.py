"""An icon for each channel, beside its name. They are general ones: messengers' logos are their owners'."""

from __future__ import annotations

from instances.models import Channel

ICONS: dict[str, str] = {
    Channel.SANDBOX: "flask",
    Channel.WHATSAPP_CLOUD: "messages",
    Channel.TELEGRAM: "send",
    Channel.MATRIX: "users",
    Channel.XMPP: "antenna",
    Channel.WAHA: "qrcode",
}


def channel_icon(name: str) -> str:
    """Returns the name of the channel's icon, for {% icon %}."""
    return ICONS.get(name, "message-circle")
