"""Finds the servers of a domain (SRV records, RFC 6120, section 3.2, and XEP-0368) and opens a stream to one."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from typing import Any

from instances.channels.receiving import LinkLost, Network, ReceiveFailed, SessionTaken
from instances.channels.xmpp import jids
from instances.channels.xmpp.opening import Server, open_stream
from instances.channels.xmpp.stream import XmppStream

PORT = 5222
DIRECT_TLS_PORTS = (5223, 443)  # at which a server that was entered expects a TLS handshake first
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
    for server in await servers_of(jids.domain(jid), host, port):
        try:
            return await open_stream(network, server, jid, password, resource)
        except (LinkLost, SessionTaken):
            raise
        except ReceiveFailed as error:
            failure = error
    raise failure


async def servers_of(domain: str, host: str, port: str) -> list[Server]:
    """Returns the servers to try, in order. Raises ReceiveFailed if the domain has none."""
    if host or port:
        number = int(port or PORT)
        return [Server(host or domain, number, number in DIRECT_TLS_PORTS)]
    if is_local(domain):
        return [Server(domain, PORT)]
    return await look_up(domain) or [Server(domain, PORT)]


def is_local(domain: str) -> bool:
    """Returns whether the domain has no SRV records: an IP address, or a name of this machine."""
    if domain == "localhost" or domain.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(domain.strip("[]"))
    except ValueError:
        return False
    return True


async def look_up(domain: str) -> list[Server]:
    """Returns what the domain's SRV records name; nothing if there are none, or if they cannot be found.

    Servers with direct TLS and with STARTTLS are one list, by priority.

    Raises ReceiveFailed: the domain says that it has no server for clients.
    """
    plain, direct = await asyncio.gather(
        records_of(f"_xmpp-client._tcp.{domain}"), records_of(f"_xmpps-client._tcp.{domain}")
    )
    found = [(order_of(record), record, False) for record in plain]
    found += [(order_of(record), record, True) for record in direct]
    servers = [
        Server(name, record.port, has_direct_tls)
        for _, record, has_direct_tls in sorted(found, key=lambda each: each[0])
        if (name := str(record.target).rstrip("."))
    ]
    if plain and not servers:
        raise ReceiveFailed("The domain says that it has no XMPP server for clients.")
    return servers[:MAX_SERVERS]


async def records_of(name: str) -> list[Any]:
    """Returns the SRV records of a name; none if they cannot be found."""
    import dns.asyncresolver
    import dns.exception

    try:
        async with asyncio.timeout(SRV_SECONDS + 1):
            found = await dns.asyncresolver.resolve(
                name, "SRV", lifetime=SRV_SECONDS, raise_on_no_answer=False
            )
    except (dns.exception.DNSException, OSError, TimeoutError, UnicodeError):
        return []
    return list(found.rrset or ())


def order_of(record: Any) -> tuple[int, float]:
    """Returns the place of a record: lower priorities first, among equal ones by chance, heavier ones more often."""
    return record.priority, -random.random() * (record.weight + 1)
