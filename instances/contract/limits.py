"""How many calls may be made in a minute: by an instance, by an account's key, and with wrong tokens from an address.

Counted for all web processes of a machine together (instances/counters.py).
"""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

from instances import counters
from instances.contract.errors import too_many_calls

# What opened something lately passes while its address is locked out: a neighbour's fault is not its own.
KNOWN_AT_MOST = 10_000
_known: set[int] = set()


def count(instance_id: int) -> None:
    """Counts a call; raises WireError 429 with Retry-After when the instance has had its share."""
    if counters.add("instance", instance_id) > settings.CONTRACT_CALLS_PER_MINUTE:
        raise too_many_calls(counters.seconds_left())


def count_of_account(account_id: int) -> None:
    """The same for a call by `uid`: an instance costs more than a message."""
    if counters.add("account", account_id) > settings.CONTRACT_ACCOUNT_CALLS_PER_MINUTE:
        raise too_many_calls(counters.seconds_left())


def may_try(address: str, *opener: str) -> None:
    """Raises WireError 429, before anything is looked up, when too many wrong tokens have come from this address."""
    if (
        counters.seen("wrong", address) >= settings.CONTRACT_WRONG_TOKENS_PER_MINUTE
        and hash(opener) not in _known
    ):
        raise too_many_calls(counters.seconds_left())


def was_wrong(address: str) -> None:
    """That token, or that key, has opened nothing."""
    counters.add("wrong", address)


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
