"""The headers of every response that limit what browsers and caches do with it, and the compression of pages.

Content-Security-Policy: only our own files, and inline code only with the request's nonce. Cache-Control: responses
are not stored, except those whose view says otherwise. Permissions-Policy, Cross-Origin-Resource-Policy.
"""

import re
import secrets
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.middleware.security import SecurityMiddleware

# Swagger UI adds <style> elements and style attributes while it renders; nothing else here does.
STYLED_BY_SCRIPT = "/api/docs/try"


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


# No page uses a device or the features for advertisers. The clipboard and full screen keep the browser's default.
DENIED_FEATURES = (
    "accelerometer", "bluetooth", "browsing-topics", "camera", "display-capture", "geolocation", "gyroscope", "hid",
    "identity-credentials-get", "magnetometer", "microphone", "midi", "payment", "publickey-credentials-create",
    "publickey-credentials-get", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip
PERMISSIONS_POLICY = ", ".join(f"{feature}=()" for feature in DENIED_FEATURES)
# The same document for every visitor. Its view sends an ETag or a lifetime, if it has one.
PUBLIC_DOCUMENT = "/api/schema"
DOCUMENTS = ("text/html", "application/vnd.oai.openapi")
# Bins stand in for a server of the user's, so pages of other sites may load their responses and open them.
BINS = "/bin/"


def resource_policies(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Sets Permissions-Policy and Cross-Origin-Resource-Policy on every response, static files included.

    Other sites may not load our pages and files as images or scripts. Responses that any origin may read (CORS: files
    of messages, the wire contract) and bins may be loaded.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_bin = request.path_info.startswith(BINS)
        is_public = is_bin or response.headers.get("Access-Control-Allow-Origin") == "*"
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.headers.setdefault(
            "Cross-Origin-Resource-Policy", "cross-origin" if is_public else "same-origin"
        )
        if is_bin:  # a bin may be the page that a window opened by another site ends at
            response.headers.setdefault("Cross-Origin-Opener-Policy", "unsafe-none")
        return response

    return middleware


def responses_not_stored(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Sets `Cache-Control: no-store` on every response whose view sets no Cache-Control: it may be private.

    Static files do not pass here (WhiteNoise), and keep their lifetime.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path_info.rstrip("/") != PUBLIC_DOCUMENT:
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return middleware


class CompressedPages(GZipMiddleware):
    """Compresses pages and the OpenAPI document, for browsers that accept gzip.

    Someone who makes a browser load a page again and again, with text of their own on it, and sees the lengths might
    guess a secret on it (BREACH). Requests from other sites carry no session, because its cookie is SameSite=Lax. The
    CSRF token looks different in each response, and Django adds up to 100 random bytes to each length.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_document = response.headers.get("Content-Type", "").startswith(DOCUMENTS)
        # A bin responds as its owner has set it, byte for byte.
        if response.streaming or not is_document or request.path_info.startswith(BINS):
            return response
        return super().process_response(request, response)


# Responses of programs have no scripts and styles. A browser that opens one, such as a QR code, shows it.
PROGRAM_POLICY = (
    "default-src 'none'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def program_headers(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Sets what responses_not_stored, content_security_policy and Django's XFrameOptionsMiddleware set on pages.

    The headers are the same each time, so they are put in as they are stored: Django checks and converts name and value
    of each header, and with the nonce that nothing used this took 7 % of the CPU of a call. Headers that the outer
    middleware sets on each response without reading it are put in here too, and found there.
    """
    found = HttpResponse(
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": PROGRAM_POLICY,
            "X-Frame-Options": settings.X_FRAME_OPTIONS,
            "Permissions-Policy": PERMISSIONS_POLICY,
        }
    )
    # not Strict-Transport-Security, which depends on the request: this one is not secure
    SecurityMiddleware(get_response).process_response(HttpRequest(), found)
    del found.headers["Content-Type"]
    headers = dict(stored_headers(found))

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        stored = stored_headers(response)
        for name, header in headers.items():
            stored.setdefault(name, header)
        return response

    return middleware


def stored_headers(response: HttpResponse) -> dict[str, tuple[str, str]]:
    """The headers by their names in lower case, as Django keeps them."""
    stored: dict[str, tuple[str, str]] = response.headers._store
    return stored


REST = "/api/v1/"
CALLBACKS = "/channels/"  # of messengers
OF_AN_INSTANCE = re.compile(r"/*instance[0-9]")
OF_A_SETTING = re.compile(r"/*settings/+[^/]+/*\Z")


def is_of_contract(path: str) -> bool:
    """Whether the path belongs to the wire contract: an instance's URL, or the name of a method or of a setting."""
    import instances.contract.urls  # noqa: F401 - registers the methods; imports models, not loaded at start
    from instances.contract.registry import METHODS

    return (
        OF_AN_INSTANCE.match(path) is not None
        or OF_A_SETTING.match(path) is not None
        or path.strip("/") in METHODS
    )


def is_of_programs(path: str) -> bool:
    """Whether only programs request the path: REST's, a callback, or the wire contract's. They get no pages."""
    return path.startswith((REST, CALLBACKS)) or is_of_contract(path)
