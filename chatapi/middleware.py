"""The Content-Security-Policy of every page: only our own files, and inline code only with the request's nonce.

URLs of the wire contract are not pages: their cookies are dropped.
"""

import re
import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# Swagger UI adds <style> elements and style attributes while it renders; nothing else here does.
STYLED_BY_SCRIPT = "/api/docs"


def policy(nonce: str, path: str) -> str:
    """The header's value for a page at `path`; inline scripts and styles with `nonce` are allowed."""
    inline_style = "'unsafe-inline'" if path.rstrip("/") == STYLED_BY_SCRIPT else f"'nonce-{nonce}'"
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'nonce-{nonce}'",
            f"style-src 'self' {inline_style}",
            "img-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Sets `request.csp_nonce` for templates, and the policy on every response that has none."""

    def middleware(request: HttpRequest) -> HttpResponse:
        nonce = secrets.token_urlsafe(16)
        request.csp_nonce = nonce  # type: ignore[attr-defined]
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", policy(nonce, request.path))
        return response

    return middleware


OF_AN_INSTANCE = re.compile(r"/*instance[0-9]")


def is_of_contract(path: str) -> bool:
    """Whether the path belongs to the wire contract: an instance's URL, or the name of a method."""
    from instances.contract.registry import (
        METHODS,
    )  # imports models, which are not loaded yet at start

    return OF_AN_INSTANCE.match(path) is not None or path.strip("/") in METHODS


def contract_without_cookies(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Drops cookies of requests to the wire contract: no session is read, so a browser's sign-in has no effect."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "HTTP_COOKIE" in request.META and is_of_contract(request.path_info):
            del request.META["HTTP_COOKIE"]
            request.COOKIES = {}
        return get_response(request)

    return middleware
