"""Limits an account's calls per minute (API_RATE), counted for all machines together."""

from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from instances.limits import rate_counters, shared_counts, waiting_calls


class AccountThrottle(SimpleRateThrottle):
    """A counter per account and period. `Retry-After` gives the seconds until the period ends.

    DRF's own throttle stores the time of every call of the period, here 6 000, and pickles them at each call.
    """

    scope = "account"
    num_requests: int | None
    duration: int | None

    def allow_request(self, request: Request, view: Any) -> bool:
        if request.user is None:
            return True  # only the OpenAPI document is public; everything else has responded 401 before this
        return self.allow_call(request._request, request.user.pk)

    def allow_call(self, request: HttpRequest, user_id: int | None) -> bool:
        """Counts a call of this user, unless it is counted already; returns whether it is allowed.

        A call that waits counts once: a wait of 30 s serves its request 34 times.
        """
        if self.rate is None or waiting_calls.is_repeated(request):
            return True
        count: int | None = getattr(request, "counted_calls", None)
        if count is None:
            count = shared_counts.add("api", user_id, self.num_requests or 0, period=self.period)
            request.counted_calls = count  # type: ignore[attr-defined]
        return count <= (self.num_requests or 0)

    def wait(self) -> float:
        return rate_counters.seconds_left(self.period)

    @property
    def period(self) -> int:
        """In seconds. API_RATE may use another unit than minutes."""
        return self.duration or 1
