"""Equal requests at once to allauth's pages: the later one gets what it would get a moment later.

These views read whether a row exists, such as an authenticator app, then write it. Between the two another request may
write the same row. The unique constraint then refuses the later one, which is handled again and finds the row.

Sign-up takes a lock instead (accounts/views/sign_up.py), and so do our own actions (instances/actions/events.py).
"""

from collections.abc import Callable

from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse
from psycopg.errors import UniqueViolation

REPEATABLE = (
    "allauth.account.",
    "allauth.mfa.",
)  # modules of views that can be repeated after a refused row
ATTEMPTS = 5


class RepeatAfterConflict:
    """Middleware: calls a view of allauth again, up to ATTEMPTS times, if a unique constraint refused what it wrote."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        match = request.resolver_match
        if match is None or not match.func.__module__.startswith(REPEATABLE):
            return None
        for _ in range(ATTEMPTS):
            if not isinstance(error.__cause__, UniqueViolation):
                return None  # the first error is logged, and responded to with 500
            try:
                response = match.func(request, *match.args, **match.kwargs)
                return response.render() if isinstance(response, SimpleTemplateResponse) else response
            except IntegrityError as later:
                error = later
        return None
