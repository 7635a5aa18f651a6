"""Limits guessing of tokens and keys: an IP address with too many wrong ones is locked out for the rest of the minute.

The wire contract and the REST API count together, across all web processes of a machine (rate_counters.py).
"""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

from instances.limits import rate_counters

# Credentials that were right recently are accepted while their IP address is locked out, because others share it.
MAX_ACCEPTED = 10_000
_accepted: set[int] = set()


def lockout_seconds(address: str, *credentials: str) -> int:
    """Returns for how many seconds this IP address is locked out; 0 if it is not, or the credentials were right."""
    if (
        rate_counters.count("wrong", address) < settings.CONTRACT_WRONG_TOKENS_PER_MINUTE
        or hash(credentials) in _accepted
    ):
        return 0
    return rate_counters.seconds_left()


def record_failure(address: str) -> None:
    """Count a wrong token or key of this IP address."""
    rate_counters.add("wrong", address)


def record_success(*credentials: str) -> None:
    """Remember credentials that were right: an instance's number and token, or an account's key."""
    if len(_accepted) >= MAX_ACCEPTED:
        _accepted.clear()
    _accepted.add(hash(credentials))


def client_address(request: HttpRequest) -> str:
    """Returns the client's IPv4 address, or the /64 network of its IPv6 address, which belongs to one customer.

    REMOTE_ADDR is the client's address, also behind a trusted proxy (chatapi/runtime/client_address.py).
    """
    address = request.META.get("REMOTE_ADDR", "")
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return str(address)[:100]
    if found.version == 6 and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))
