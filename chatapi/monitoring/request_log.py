"""The request log: one line per request, with its path but not its query."""

import logging
import re
import uuid
from collections.abc import Awaitable, Callable

import structlog
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

from chatapi.monitoring.logging_config import REQUEST_LEVELS

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


SUCCESS, CLIENT_ERROR, SERVER_ERROR = (
    REQUEST_LEVELS[f"DJANGO_STRUCTLOG_STATUS_{kind}_LOG_LEVEL"] for kind in ("2XX", "4XX", "5XX")
)


def log_program_request(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: the same log for requests without a session, which builds no line that LOG_LEVEL leaves out.

    RequestLog logs their exceptions too: it listens to Django's signal.
    """
    name = RequestMiddleware.__module__
    logger, levels = structlog.getLogger(name), logging.getLogger(name)

    def middleware(request: HttpRequest) -> HttpResponse:
        structlog.contextvars.bind_contextvars(
            request_id=str(uuid.uuid4()), ip=request.META.get("REMOTE_ADDR", "")
        )
        try:
            if levels.isEnabledFor(SUCCESS):
                shown, agent = RequestLog.format_request(request), request.META.get("HTTP_USER_AGENT")
                logger.log(SUCCESS, "request_started", request=shown, user_agent=agent)
            response = get_response(request)
            level = {4: CLIENT_ERROR, 5: SERVER_ERROR}.get(response.status_code // 100, SUCCESS)
            if levels.isEnabledFor(level) and not hasattr(request, "_raised_exception"):
                RequestLog.bind_user_id(request)
                shown = RequestLog.format_request(request)
                logger.log(level, "request_finished", code=response.status_code, request=shown)
            return response
        finally:
            structlog.contextvars.clear_contextvars()

    return middleware


MAX_PATH = 200  # characters
# A part of a path that may be logged: the names that our URLs have, and ids.
PLAIN_PART = re.compile(r"[A-Za-z0-9_.+:~-]{1,64}")
# The secret of a callback URL is as good as a password.
CALLBACK_SECRET = re.compile(r"(/channels/[^/]*/).+")


def shown_path(path: str) -> str:
    """Returns the path for the log: a part that could be text of a user, such as a file's name, is left out,
    and so is the secret of a callback URL.

    Phone numbers are removed from every value (logging_config.py).
    """
    path = CALLBACK_SECRET.sub(r"\1…", path)
    parts = (
        part if not part or PLAIN_PART.fullmatch(part) else "…" for part in path[: 2 * MAX_PATH].split("/")
    )
    shown = "/".join(parts)
    return shown if len(path) <= MAX_PATH else f"{shown[:MAX_PATH]}…"
