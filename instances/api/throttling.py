"""At most so many calls a minute for an account (API_RATE), counted for all web processes of a machine together."""

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from instances import rate_counters


class AccountThrottle(SimpleRateThrottle):
    """A counter per account and period; a refusal says in `Retry-After` when the period ends.

    DRF's own throttle keeps, and pickles at each call, the time of every call of the period: 6 000 of them here.
    """

    scope = "account"
    num_requests: int | None
    duration: int | None

    def allow_request(self, request: Request, view: Any) -> bool:
        if self.rate is None or request.user is None:
            return True  # nobody: the OpenAPI document is for all, everything else answers 401 before this
        return rate_counters.add("api", request.user.pk, period=self.period) <= (self.num_requests or 0)

    def wait(self) -> float:
        return rate_counters.seconds_left(self.period)

    @property
    def period(self) -> int:
        """In seconds; API_RATE may name another than the minute."""
        return self.duration or 1
