"""Decides the IP address of a request's client, from its connection and the headers of trusted proxies.

A client can send any X-Forwarded-For. Each proxy appends the address that it has seen, so the header is read from the
right: as long as an address is a trusted proxy's, the one before it counts. TRUSTED_PROXIES lists their networks.

The WSGI wrapper stores the result in REMOTE_ADDR, where limits, logs, allauth and bins read it. No other code reads a
forwarding header to find out who the client is.
"""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

MAX_ADDRESS = 100  # characters of an IP address with its port and zone
PEER = "chatapi.peer_address"  # in environ: the address of the connection
REMOVED = (
    "chatapi.removed_headers"  # in environ: forwarding headers that no trusted proxy has set, by CGI name
)
FORWARDED_FOR = "HTTP_X_FORWARDED_FOR"
# Headers by which a proxy says whom it forwards for. From a client they are forged.
FORWARDING_HEADERS = (
    FORWARDED_FOR, "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_SERVER", "HTTP_X_FORWARDED", "HTTP_X_REAL_IP", "HTTP_FORWARDED",
)  # fmt: skip


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Iterable[Network]) -> str:
    """Returns the client's IP address: that of the connection, or the last one that is not a trusted proxy's.

    `forwarded_for` has the values of all X-Forwarded-For headers, in order. Reading stops at a text that is not an IP
    address: then the client is the proxy that forwarded it. If all addresses are trusted, the first one is the
    client's. A peer without an IP address (a Unix socket) is not trusted; it is returned as it is.
    """
    address = normal_address(peer)
    if address is None:
        return peer
    networks = tuple(trusted)
    remaining = ",".join(forwarded_for)
    while remaining and is_trusted(address, networks):
        remaining, _, last = remaining.rpartition(",")
        before = normal_address(last)
        if before is None:
            break
        address = before
    return address


def normal_address(text: str) -> str | None:
    """Returns the IP address in its shortest form, without a port or zone; None if the text is not one.

    An IPv4 address that is mapped into IPv6 is returned as IPv4.
    """
    return parse_address(text) if len(text) <= MAX_ADDRESS else None


@lru_cache(maxsize=4096)
def parse_address(text: str) -> str | None:
    """As normal_address(), which keeps long headers out of the cache. Each request asks for its address four times."""
    text = text.strip()
    if text.startswith("["):  # [2001:db8::1]:4711
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:4711
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


@lru_cache(maxsize=4096)
def is_trusted(address: str, networks: tuple[Network, ...]) -> bool:
    """Returns whether this IP address, in its normal form, is a trusted proxy's."""
    known = ipaddress.ip_address(address)
    return any(known in network for network in networks)


def trusted_networks() -> tuple[Network, ...]:
    """Returns the networks of TRUSTED_PROXIES."""
    return parse_networks(tuple(settings.TRUSTED_PROXIES))


@lru_cache(maxsize=8)
def parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Returns the networks, without those that are invalid: the system checks report them."""
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            continue
    return tuple(networks)


def is_loopback(host: str) -> bool:
    """Returns whether HOST can be reached from this machine only."""
    address = normal_address(host)
    return host == "localhost" or (address is not None and ipaddress.ip_address(address).is_loopback)


def with_client_address(application: Application) -> Application:
    """Wrap the application: REMOTE_ADDR is the client's IP address, and forged forwarding headers are removed."""

    def addressed(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        set_client_address(environ, trusted_networks())
        return application(environ, start_response)

    return addressed


def set_client_address(environ: Environ, trusted: tuple[Network, ...]) -> None:
    """Set REMOTE_ADDR to the client's IP address; environ[PEER] keeps that of the connection.

    Unless a trusted proxy is connected, the forwarding headers are moved to environ[REMOVED]. A second call changes
    nothing.
    """
    peer = str(environ.setdefault(PEER, environ.get("REMOTE_ADDR", "")))
    address = normal_address(peer)
    is_proxy = address is not None and is_trusted(address, trusted)
    forged = () if is_proxy else [name for name in FORWARDING_HEADERS if name in environ]
    if forged:
        environ[REMOVED] = {name: environ.pop(name) for name in forged}
    environ["REMOTE_ADDR"] = client_address(peer, [environ.get(FORWARDED_FOR, "")], trusted)
