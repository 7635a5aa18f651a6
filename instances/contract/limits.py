"""How many calls an instance and an account's key may make in a minute.

Counted for all machines together (instances/limits/shared_counts.py).
"""

from django.conf import settings

from instances.contract.errors import too_many_calls
from instances.limits import login_throttle, rate_counters, shared_counts


def count_instance_call(number: int) -> None:
    """Counts a call. Raises WireError 429 with Retry-After if the instance with this number has reached its limit."""
    limit = settings.CONTRACT_CALLS_PER_MINUTE
    if shared_counts.add("instance", number, limit) > limit:
        raise too_many_calls(rate_counters.seconds_left())


def count_account_call(account_id: int) -> None:
    """The same for a call by `uid`. Its limit is lower: creating an instance costs more than sending a message."""
    limit = settings.CONTRACT_ACCOUNT_CALLS_PER_MINUTE
    if shared_counts.add("account", account_id, limit) > limit:
        raise too_many_calls(rate_counters.seconds_left())


def check_lockout(address: str, *credentials: str) -> None:
    """Raises WireError 429, before anything is looked up, if this address has sent too many wrong tokens."""
    seconds = login_throttle.lockout_seconds(address, *credentials)
    if seconds:
        raise too_many_calls(seconds)
