"""The request log: one line per request, with its path but not its query."""

import re
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
        return f"{request.method} {shown_path(request.path)}"


MAX_PATH = 200  # characters
# A part of a path that may be logged: the names that our URLs have, and ids.
PLAIN_PART = re.compile(r"[A-Za-z0-9_.+:~-]{1,64}")


def shown_path(path: str) -> str:
    """Returns the path for the log: a part that could be text of a user, such as a file's name, is left out.

    Phone numbers are removed from every value (logging_config.py).
    """
    parts = (
        part if not part or PLAIN_PART.fullmatch(part) else "…" for part in path[: 2 * MAX_PATH].split("/")
    )
    shown = "/".join(parts)
    return shown if len(path) <= MAX_PATH else f"{shown[:MAX_PATH]}…"
