"""Handles concurrent equal requests to allauth's pages, such as a double click.

These views check whether a row exists, such as an authenticator app, and then write it. Another request may write the
same row in between. The unique constraint then refuses the later request's row, and the later request is handled again
and finds the existing row.

Sign-up uses a lock instead (accounts/views/sign_up.py), and so do our own actions (instances/actions/events.py).
"""

from collections.abc import Callable

from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse
from psycopg.errors import UniqueViolation

REPEATABLE = ("allauth.account.", "allauth.mfa.")  # modules whose views can be called again
ATTEMPTS = 5


class RepeatAfterConflict:
    """Middleware: calls a view of allauth again, up to ATTEMPTS times, if a unique constraint refused its row."""

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
                return None  # the first error is logged, and the response is 500
            try:
                response = match.func(request, *match.args, **match.kwargs)
                return response.render() if isinstance(response, SimpleTemplateResponse) else response
            except IntegrityError as later:
                error = later
        return None
