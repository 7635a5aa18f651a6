"""Messengers: whether this machine reaches the servers that its instances are linked to, and lost links."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings

from chatapi.runtime.doctor.findings import Finding, note, warning
from chatapi.runtime.doctor.tls import trusting_context
from instances.models import Channel, ChannelLink, ReceiverState

TIMEOUT = 4  # seconds
# The servers that all accounts of a messenger have in common. Matrix and XMPP have one for each account, which are its
# owner's: the page of the instance shows their health.
SERVERS = {Channel.TELEGRAM: "TELEGRAM_URL", Channel.WHATSAPP_CLOUD: "WHATSAPP_URL"}


def find_unreachable_messengers() -> Iterator[Finding]:
    """Opens a connection to each server that a linked instance needs, and sends nothing."""
    linked = set(ChannelLink.objects.filter(channel__in=SERVERS).values_list("channel", flat=True).distinct())
    for channel, variable in SERVERS.items():
        if channel not in linked:
            continue
        if fault := connection_fault(getattr(settings, variable)):
            yield warning(
                f"{channel.label} cannot be reached from this machine: its messages wait.",
                "Check DNS and the firewall of this machine for outgoing https.",
                fault,
            )


def connection_fault(url: str) -> str:
    """Returns why no connection to the URL's host can be made; empty if one can."""
    parts = urlsplit(url)
    host, is_https = parts.hostname or "", parts.scheme == "https"
    try:
        with socket.create_connection((host, parts.port or (443 if is_https else 80)), TIMEOUT) as plain:
            if is_https:
                with trusting_context().wrap_socket(plain, server_hostname=host):
                    pass
    except (OSError, ssl.SSLError) as fault:
        return str(fault)
    return ""


def find_lost_links() -> Iterator[Finding]:
    lost = ReceiverState.objects.filter(lost_at__isnull=False).count()
    if lost:
        yield note(
            f"{lost} instance{'s have' if lost > 1 else ' has'} lost the link to the messenger.",
            "The page of each instance says why. Its owner has a mail about it, and can link it again.",
        )
