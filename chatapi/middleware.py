"""The Content-Security-Policy of every page: only our own files, and inline code only with the request's nonce.

And the other way round: the wire contract's addresses, which are no pages, know no cookies.
"""

import re
import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# Swagger UI writes <style> elements and style attributes of its own while it draws; nothing else here does.
STYLED_BY_SCRIPT = "/api/docs"


def policy(nonce: str, path: str) -> str:
    """The header's value for a page at `path`; `nonce` opens the inline scripts and styles that carry it."""
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
    """Puts `request.csp_nonce` at the templates' disposal and the policy on every answer that has none of its own."""

    def middleware(request: HttpRequest) -> HttpResponse:
        nonce = secrets.token_urlsafe(16)
        request.csp_nonce = nonce  # type: ignore[attr-defined]
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", policy(nonce, request.path))
        return response

    return middleware


OF_AN_INSTANCE = re.compile(r"/*instance[0-9]")


def is_of_contract(path: str) -> bool:
    """Is it an address of the wire contract: of an instance, or the name of a method?"""
    from instances.contract.registry import (
        METHODS,
    )  # it stands on models, which are not there yet at the start

    return OF_AN_INSTANCE.match(path) is not None or path.strip("/") in METHODS


def contract_without_cookies(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Nobody is signed in at the wire contract: no session is read, and whatever a browser has makes no difference."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "HTTP_COOKIE" in request.META and is_of_contract(request.path_info):
            del request.META["HTTP_COOKIE"]
            request.COOKIES = {}
        return get_response(request)

    return middleware
