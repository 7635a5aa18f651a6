"""Limits an account's calls per minute (API_RATE), counted for all web processes of a machine together."""

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from instances.limits import rate_counters


class AccountThrottle(SimpleRateThrottle):
    """A counter per account and period. `Retry-After` gives the seconds until the period ends.

    DRF's own throttle stores the time of every call of the period, here 6 000, and pickles them at each call.
    """

    scope = "account"
    num_requests: int | None
    duration: int | None

    def allow_request(self, request: Request, view: Any) -> bool:
        if self.rate is None or request.user is None:
            return True  # only the OpenAPI document is public; everything else has responded 401 before this
        return rate_counters.add("api", request.user.pk, period=self.period) <= (self.num_requests or 0)

    def wait(self) -> float:
        return rate_counters.seconds_left(self.period)

    @property
    def period(self) -> int:
        """In seconds. API_RATE may use another unit than minutes."""
        return self.duration or 1
