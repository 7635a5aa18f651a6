"""How many calls an instance and an account's key may make in a minute.

Counted for all web processes of a machine together (instances/limits/rate_counters.py).
"""

from django.conf import settings

from instances.contract.errors import too_many_calls
from instances.limits import login_throttle, rate_counters


def count_instance_call(number: int) -> None:
    """Counts a call. Raises WireError 429 with Retry-After if the instance with this number has reached its limit."""
    if rate_counters.add("instance", number) > settings.CONTRACT_CALLS_PER_MINUTE:
        raise too_many_calls(rate_counters.seconds_left())


def count_account_call(account_id: int) -> None:
    """The same for a call by `uid`. Its limit is lower: creating an instance costs more than sending a message."""
    if rate_counters.add("account", account_id) > settings.CONTRACT_ACCOUNT_CALLS_PER_MINUTE:
        raise too_many_calls(rate_counters.seconds_left())


def check_lockout(address: str, *credentials: str) -> None:
    """Raises WireError 429, before anything is looked up, if this address has sent too many wrong tokens."""
    seconds = login_throttle.lockout_seconds(address, *credentials)
    if seconds:
        raise too_many_calls(seconds)
