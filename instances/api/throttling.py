"""At most so many calls a minute for an account (API_RATE), counted in the web process's own memory."""

import time
from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle


class AccountThrottle(SimpleRateThrottle):
    """A counter per account and period; a refusal says in `Retry-After` when the period ends.

    DRF's own throttle keeps, and pickles at each call, the time of every call of the period: 6 000 of them here.
    """

    scope = "account"
    num_requests: int | None
    duration: int | None
    elapsed: float = 0

    def get_cache_key(self, request: Request, view: Any) -> str:
        return f"api-calls-{request.user.pk}"

    def allow_request(self, request: Request, view: Any) -> bool:
        if self.rate is None or request.user is None:
            return True  # nobody: the OpenAPI document is for all, everything else answers 401 before this
        limit, period = self.num_requests or 0, self.duration or 1
        now = time.time()
        number, self.elapsed = divmod(now, period)
        key = f"{self.get_cache_key(request, view)}-{int(number)}"
        self.cache.add(key, 0, timeout=period)
        return self.cache.incr(key) <= limit

    def wait(self) -> float:
        return (self.duration or 1) - self.elapsed
