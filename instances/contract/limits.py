"""How many calls may be made in a minute: by an instance, and by an account's key.

Counted for all web processes of a machine together (instances/rate_counters.py).
"""

from django.conf import settings

from instances import login_throttle, rate_counters
from instances.contract.errors import too_many_calls


def count(instance_id: int) -> None:
    """Counts a call; raises WireError 429 with Retry-After when the instance has had its share."""
    if rate_counters.add("instance", instance_id) > settings.CONTRACT_CALLS_PER_MINUTE:
        raise too_many_calls(rate_counters.seconds_left())


def count_of_account(account_id: int) -> None:
    """The same for a call by `uid`: an instance costs more than a message."""
    if rate_counters.add("account", account_id) > settings.CONTRACT_ACCOUNT_CALLS_PER_MINUTE:
        raise too_many_calls(rate_counters.seconds_left())


def may_try(address: str, *opener: str) -> None:
    """Raises WireError 429, before anything is looked up, when too many wrong tokens have come from this address."""
    seconds = login_throttle.locked_out(address, *opener)
    if seconds:
        raise too_many_calls(seconds)
