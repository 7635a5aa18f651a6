"""The request log: one line a request, by its path alone."""

from collections.abc import Awaitable

from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

ASKED_BY_MACHINES = ("/healthz", "/readyz", "/metrics")  # every second, and a 503 while starting is no fault


class RequestLog(RequestMiddleware):
    """django-structlog's request log, which by itself would write the query string, and so the tokens in it."""

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        return self.get_response(request) if request.path in ASKED_BY_MACHINES else super().__call__(request)

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        return f"{request.method} {request.path}"
