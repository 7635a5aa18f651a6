"""Decides which network addresses a hook may reach.

The *resolved* address is checked when connecting (see http.py), so names that point to a private address, and names
whose address changes between two lookups, are refused. Of IPv6, only 2000::/3 without its special-purpose networks is
allowed: nothing else is assigned to the internet.
"""

from __future__ import annotations

import ipaddress
import re
import time
from functools import lru_cache
from typing import NamedTuple

import psutil
from django.conf import settings

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

OWN_ADDRESS = "this server's own"  # the rule of this machine's addresses; hooks/explain knows it
OWN_ADDRESSES_SECONDS = 5.0  # after which they are read again; reading three interfaces takes 65 µs


class Rule(NamedTuple):
    name: str
    networks: tuple[str, ...]


# The first matching rule is reported. The rules cover IANA's registries of special-purpose addresses, also the entries
# that are globally reachable: no endpoint is there. They cover every IPv6 notation of an IPv4 address: each would
# bypass the other rules.
RULES = tuple(
    (rule.name, tuple(ipaddress.ip_network(network) for network in rule.networks))
    for rule in (
        # nearly all clouds, then the IPv6 addresses of AWS and Google; AWS ECS and EKS; Alibaba, Azure, Oracle
        Rule("metadata", ("169.254.169.254/32", "fd00:ec2::254/128", "fd20:ce::254/128")),
        Rule("metadata", ("169.254.170.2/32", "169.254.170.23/32", "fd00:ec2::23/128")),
        Rule("metadata", ("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32")),
        Rule("loopback", ("127.0.0.0/8", "::1/128")),
        Rule("unspecified", ("0.0.0.0/8", "::/128")),
        Rule("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
        Rule("link-local", ("169.254.0.0/16", "fe80::/10")),
        Rule("CGNAT", ("100.64.0.0/10",)),
        Rule("IPv4-mapped", ("::ffff:0:0/96", "::ffff:0:0:0/96", "::/96")),
        Rule("NAT64", ("64:ff9b::/96", "64:ff9b:1::/48")),
        Rule("6to4", ("2002::/16", "192.88.99.0/24")),
        Rule("Teredo", ("2001::/32",)),
        Rule("multicast", ("224.0.0.0/4", "ff00::/8")),
        Rule("benchmark", ("198.18.0.0/15", "2001:2::/48")),
        Rule(
            "documentation",
            ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
        ),
        # protocol assignments, AMT and AS112 (name servers that answer for private addresses), class E
        Rule(
            "reserved",
            ("192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24", "240.0.0.0/4"),
        ),
        # ORCHID and all other protocol assignments, AS112; then everything outside 2000::/3, such as 5f00::/16
        Rule("reserved", ("2001::/23", "2620:4f:8000::/48", "::/3", "4000::/2", "8000::/1")),
    )
)
# Networks whose addresses contain the IPv4 address that is reached, as the last four bytes or at this offset.
IPV4_OFFSETS = tuple(
    (ipaddress.IPv6Network(network), offset)
    for network, offset in (
        ("::ffff:0:0/96", 12), ("::ffff:0:0:0/96", 12), ("::/96", 12), ("64:ff9b::/96", 12),
        ("64:ff9b:1::/48", 12), ("2002::/16", 2),
    )
)  # fmt: skip


@lru_cache(maxsize=8)
def allowed_networks(networks: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(network.strip(), strict=False) for network in networks)


def embedded_ipv4(ip: IPAddress) -> ipaddress.IPv4Address | None:
    """Returns the IPv4 address that an IPv6 address of a translator or a tunnel leads to; None for `::` and `::1`."""
    for network, offset in IPV4_OFFSETS:
        if ip in network and int(ip) > 1:
            return ipaddress.IPv4Address(ip.packed[offset : offset + 4])
    return None


@lru_cache(maxsize=10_000)
def blocking_rule(address: str, allowed: tuple[str, ...], own: frozenset[IPAddress] = frozenset()) -> str:
    """Returns the name of the rule that forbids an IP address; empty if none does.

    `allowed` are networks exempt from the rules, `own` are this machine's addresses. A metadata service must be listed
    as a single address: a network that contains it is not enough. An IPv6 address of a listed network that leads to an
    IPv4 address, such as NAT64's, is allowed only if that address is.
    """
    try:
        ip = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return "unreadable"
    listed = [net for net in allowed_networks(allowed) if net.version == ip.version and ip in net]
    rule = special_purpose(ip) or (OWN_ADDRESS if ip in own else "")
    if not rule:
        return ""
    if not any(rule != "metadata" or net.num_addresses == 1 for net in listed):
        return rule
    inner = embedded_ipv4(ip)
    return blocking_rule(str(inner), allowed, own) if inner is not None else ""


def special_purpose(ip: IPAddress) -> str:
    """Returns the name of the first of RULES that contains the address; empty if none does."""
    for name, networks in RULES:
        if any(ip in network for network in networks if network.version == ip.version):
            return name
    return ""


class OwnAddresses:
    """The addresses of this machine's network interfaces, and OUTPUT_IP; read again every OWN_ADDRESSES_SECONDS.

    A service that listens on all addresses, protected by a firewall from the outside, would accept connections of this
    machine to its own public address.
    """

    def __init__(self) -> None:
        self.addresses: frozenset[IPAddress] = frozenset()
        self.due = 0.0

    def read(self) -> frozenset[IPAddress]:
        now = time.monotonic()
        if now >= self.due:
            public = {ipaddress.ip_address(settings.OUTPUT_IP)} if settings.OUTPUT_IP else set()
            self.addresses = interface_addresses() | public
            self.due = now + OWN_ADDRESSES_SECONDS
        return self.addresses


own_addresses = OwnAddresses()


def interface_addresses() -> frozenset[IPAddress]:
    """Returns all IP addresses of this machine's network interfaces."""
    found = set()
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            try:
                found.add(ipaddress.ip_address(address.address.split("%")[0]))
            except ValueError:  # a hardware address
                continue
    return frozenset(found)


def refusal(address: str) -> str:
    """Returns the name of the rule that forbids `address` under HOOKS_ALLOW_NETWORKS; empty if it is allowed."""
    return blocking_rule(address, tuple(settings.HOOKS_ALLOW_NETWORKS), own_addresses.read())


# the key, segments that are neither "." nor "..", a query; neither "%" nor "\\" in the path
OWN_BIN = re.compile(r"[a-z0-9]{8}(/(?!\.\.?(?:[/?]|\Z))[A-Za-z0-9_.~-]+)*/?(\?[!-\"$-~]*)?")


def is_own_bin(url: str) -> bool:
    """Returns whether the URL is a bin of this site. Bins are always allowed, whatever the site's name resolves to.

    Only a plain path below /bin/ counts, with or without a query: by a dot segment, plain or escaped, it could lead
    to any page of the site.
    """
    prefix = settings.HOOKS_OWN_BINS
    return url.startswith(prefix) and OWN_BIN.fullmatch(url[len(prefix) :]) is not None
