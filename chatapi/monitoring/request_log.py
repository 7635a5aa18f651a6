"""The request log: one line per request, with its path but not its query."""

from collections.abc import Awaitable

import structlog
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

POLLED_BY_MACHINES = (
    "/healthz",
    "/readyz",
    "/metrics",
)  # polled every second; a 503 while starting is not a fault


class RequestLog(RequestMiddleware):
    """django-structlog's request log without the query string, which contains tokens.

    `ip` is REMOTE_ADDR (runtime/client_address.py). django-structlog would read it from fifteen headers, which a client
    can forge.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        return self.get_response(request) if request.path in POLLED_BY_MACHINES else super().__call__(request)

    @classmethod
    def bind_ip(cls, request: HttpRequest) -> None:
        structlog.contextvars.bind_contextvars(ip=request.META.get("REMOTE_ADDR", ""))

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        return f"{request.method} {request.path}"
