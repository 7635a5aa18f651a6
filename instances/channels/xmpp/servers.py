"""Finds the server of a domain (SRV records, RFC 6120, section 3.2) and opens a stream to it."""

from __future__ import annotations

import asyncio
import ipaddress
import random

from instances.channels.receiving import LinkLost, Network, ReceiveFailed, SessionTaken
from instances.channels.xmpp import jids
from instances.channels.xmpp.opening import open_stream
from instances.channels.xmpp.stream import XmppStream

PORT = 5222
SRV_SECONDS = 5.0
MAX_SERVERS = 5  # of a domain that are tried


async def connect(
    network: Network, *, jid: str, password: str, host: str = "", port: str = "", resource: str
) -> XmppStream:
    """Returns a stream of the account that is signed in: to the given host, or to those that its domain names.

    Each address is checked by the network's policy.

    Raises:
        LinkLost: the server does not accept the JID and the password.
        ReceiveFailed: no server can be reached, or it refuses.
    """
    failure = ReceiveFailed("The domain has no XMPP server.")
    for name, number in await servers_of(jids.domain(jid), host, port):
        try:
            return await open_stream(network, name, number, jid, password, resource)
        except (LinkLost, SessionTaken):
            raise
        except ReceiveFailed as error:
            failure = error
    raise failure


async def servers_of(domain: str, host: str, port: str) -> list[tuple[str, int]]:
    """Returns the servers to try, in order: host and port. Raises ReceiveFailed if the domain has none."""
    if host or port:
        return [(host or domain, int(port or PORT))]
    if is_local(domain):
        return [(domain, PORT)]
    return await look_up(domain) or [(domain, PORT)]


def is_local(domain: str) -> bool:
    """Returns whether the domain has no SRV records: an IP address, or a name of this machine."""
    if domain == "localhost" or domain.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(domain.strip("[]"))
    except ValueError:
        return False
    return True


async def look_up(domain: str) -> list[tuple[str, int]]:
    """Returns what the domain's SRV records name; nothing if there are none, or if they cannot be found.

    Raises ReceiveFailed: the domain says that it has no server for clients.
    """
    import dns.asyncresolver
    import dns.exception

    try:
        async with asyncio.timeout(SRV_SECONDS + 1):
            found = await dns.asyncresolver.resolve(
                f"_xmpp-client._tcp.{domain}", "SRV", lifetime=SRV_SECONDS, raise_on_no_answer=False
            )
    except (dns.exception.DNSException, OSError, TimeoutError, UnicodeError):
        return []
    records = [
        (record.priority, -random.random() * (record.weight + 1), str(record.target).rstrip("."), record.port)
        for record in (found.rrset or ())
    ]
    if [name for _, _, name, _ in records] == [""]:
        raise ReceiveFailed("The domain says that it has no XMPP server for clients.")
    return [(name, port) for _, _, name, port in sorted(records) if name][:MAX_SERVERS]
