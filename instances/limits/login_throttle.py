"""Limits guessing of tokens and keys: an IP address with too many wrong ones is locked out, each time for longer.

The wire contract and the REST API count together. Wrong ones are counted in the database (accounts/lockouts.py), for
all processes and machines; those of the current minute also in this machine's memory (rate_counters.py), where all
calls look. So a call with a right token needs no query, and a lockout found by one process reaches the others with the
next wrong token that each of them gets.
"""

import ipaddress
import time
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest

from accounts import lockouts
from accounts.lockouts import LockoutRule
from instances.limits import rate_counters

# Credentials that were right recently are accepted while their IP address is locked out, because others share it.
MAX_ACCEPTED = 10_000
_accepted: set[int] = set()

MAX_LOCKED = 100_000  # IP addresses that this process remembers; 20 MB
_locked: dict[str, float] = {}  # until when, as time.time()


def rule() -> LockoutRule:
    """Returns the limit: the rest of the minute, then 2 min, 4 min … 1 h; an hour without a wrong one ends it."""
    allowed = settings.CONTRACT_WRONG_TOKENS_PER_MINUTE
    return LockoutRule(
        "token",
        free=allowed,
        free_after=allowed,
        window=timedelta(minutes=1),
        first_pause=timedelta(minutes=1),
        longest_pause=timedelta(hours=1),
        forget=timedelta(hours=1),
        ends_with_window=True,
    )


def lockout_seconds(address: str, *credentials: str) -> int:
    """Returns for how many seconds this IP address is locked out; 0 if it is not, or the credentials were right."""
    seconds = int(max(0.0, _locked.get(address, 0.0) - time.time()) + 0.999)
    if rate_counters.count("wrong", address) >= settings.CONTRACT_WRONG_TOKENS_PER_MINUTE:
        seconds = max(seconds, rate_counters.seconds_left())
    return 0 if seconds and accepted_before(*credentials) else seconds


def accepted_before(*credentials: str) -> bool:
    """Returns whether this process has found these credentials right, and not wrong since."""
    return hash(credentials) in _accepted


def record_failure(address: str, *credentials: str) -> None:
    """Count a wrong token or key of this IP address; `credentials` may have been right before. Five statements."""
    _accepted.discard(hash(credentials))
    rate_counters.add("wrong", address)
    counted = lockouts.attempt(rule(), address)
    if seconds := counted.seconds or counted.pause:
        if len(_locked) >= MAX_LOCKED:
            forget_ended()
        _locked[address] = time.time() + seconds


def forget_ended() -> None:
    """Remove the addresses whose lockout has ended; all of them if none has: the database has them too."""
    now = time.time()
    running = {address: until for address, until in _locked.items() if until > now}
    _locked.clear()
    if len(running) < MAX_LOCKED:
        _locked.update(running)


def record_success(*credentials: str) -> None:
    """Remember credentials that were right: an instance's number and token, or an account's key."""
    if len(_accepted) >= MAX_ACCEPTED:
        _accepted.clear()
    _accepted.add(hash(credentials))


def reset() -> None:
    """Forget, in this process, which addresses are locked out and which credentials were right."""
    _locked.clear()
    _accepted.clear()


def client_address(request: HttpRequest) -> str:
    """Returns the client's IPv4 address, or the /64 network of its IPv6 address, which belongs to one customer.

    REMOTE_ADDR is the client's address, also behind a trusted proxy (chatapi/runtime/client_address.py).
    """
    return network_of(str(request.META.get("REMOTE_ADDR", ""))[:100])


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """As client_address(), for an IP address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 6 and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))
