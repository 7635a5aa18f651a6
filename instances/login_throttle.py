"""Who guesses tokens and keys: so many wrong ones a minute from one address, and then it is locked out for its rest.

The wire contract and the REST API count together, for all web processes of a machine (instances/rate_counters.py).
"""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

from instances import rate_counters

# What opened something lately passes while its address is locked out: a neighbour's fault is not its own.
KNOWN_AT_MOST = 10_000
_known: set[int] = set()


def locked_out(address: str, *opener: str) -> int:
    """For how many seconds nothing of this address is looked up, but for an opener that was right; 0: it may try."""
    if (
        rate_counters.seen("wrong", address) < settings.CONTRACT_WRONG_TOKENS_PER_MINUTE
        or hash(opener) in _known
    ):
        return 0
    return rate_counters.seconds_left()


def was_wrong(address: str) -> None:
    """That token, or that key, has opened nothing."""
    rate_counters.add("wrong", address)


def was_right(*opener: str) -> None:
    """That token has opened that instance, or that key an account."""
    if len(_known) >= KNOWN_AT_MOST:
        _known.clear()
    _known.add(hash(opener))


def address_of(request: HttpRequest) -> str:
    """Who calls: an IPv4 address, or the first half of an IPv6 one, which is one customer's.

    Behind the proxy that SITE_URL with https:// tells of, it is the last of X-Forwarded-For: the proxy has written
    that one itself, and whoever calls may have written those before it.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if settings.HTTPS:
        address = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip() or address
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return str(address)[:100]
    if found.version == 6 and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))
