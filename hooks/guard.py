"""Decides which network addresses a hook may reach.

The *resolved* address is checked when connecting (see http.py), so names that point to a private address, and names
whose address changes between two lookups, are refused.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings


class Rule(NamedTuple):
    name: str
    networks: tuple[str, ...]


# The first matching rule is reported. In addition to local and private networks, the rules cover every IPv6 notation of
# an IPv4 address: each would bypass the other rules.
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
        Rule("documentation", ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")),
        Rule("reserved", ("192.0.0.0/24", "240.0.0.0/4", "100::/64")),
    )
)


@lru_cache(maxsize=8)
def allowed_networks(networks: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(network.strip(), strict=False) for network in networks)


@lru_cache(maxsize=10_000)
def blocking_rule(address: str, allowed: tuple[str, ...]) -> str:
    """Returns the name of the rule that forbids an IP address; empty if none does.

    `allowed` are networks exempt from the rules. A metadata service must be listed as a single address: a network that
    contains it is not enough.
    """
    try:
        ip = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return "unreadable"
    for name, networks in RULES:
        if any(ip in network for network in networks if network.version == ip.version):
            listed = (net for net in allowed_networks(allowed) if net.version == ip.version and ip in net)
            if any(name != "metadata" or net.num_addresses == 1 for net in listed):
                return ""
            return name
    return ""


def refusal(address: str) -> str:
    """Returns the name of the rule that forbids `address` under HOOKS_ALLOW_NETWORKS; empty if it is allowed."""
    return blocking_rule(address, tuple(settings.HOOKS_ALLOW_NETWORKS))


# the key, segments that are neither "." nor "..", a query; neither "%" nor "\\" in the path
OWN_BIN = re.compile(r"[a-z0-9]{8}(/(?!\.\.?(?:[/?]|\Z))[A-Za-z0-9_.~-]+)*/?(\?[!-\"$-~]*)?")


def is_own_bin(url: str) -> bool:
    """Returns whether the URL is a bin of this site. Bins are always allowed, whatever the site's name resolves to.

    Only a plain path below /bin/ counts, with or without a query: by a dot segment, plain or escaped, it could lead
    to any page of the site.
    """
    prefix = settings.HOOKS_OWN_BINS
    return url.startswith(prefix) and OWN_BIN.fullmatch(url[len(prefix) :]) is not None
