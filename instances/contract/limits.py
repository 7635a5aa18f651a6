"""How many calls an instance may make: a count per minute, in each web process by itself."""

import time
from collections import defaultdict

from django.conf import settings

from instances.contract.errors import too_many_calls

PERIOD = 60  # seconds

_calls: dict[int, int] = defaultdict(int)
_period = 0


def count(instance_id: int) -> None:
    """Counts a call; raises WireError 429 with Retry-After when the instance has had its share."""
    global _period
    now = time.time()
    period = int(now // PERIOD)
    if period != _period:
        _period = period
        _calls.clear()
    _calls[instance_id] += 1
    if _calls[instance_id] > settings.CONTRACT_CALLS_PER_MINUTE:
        raise too_many_calls(PERIOD - int(now) % PERIOD)
