"""The Content-Security-Policy of every page: only our own files, and inline code only with the request's nonce."""

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
