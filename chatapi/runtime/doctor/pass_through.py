"""What a proxy must let through: long URLs, long uploads, and the headers that pages, clients and messengers send."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from chatapi.runtime.doctor.findings import Finding, NotCarriedOut, error, warning
from chatapi.runtime.doctor.site import (
    PROXY_DOCS,
    Target,
    Unreachable,
    ask_front,
    probe_headers,
    through_the_front,
)
from chatapi.ui import sizes

# bytes; the web server accepts 64 KiB, and the wire contract has whole messages in a query
LONG_URL = 60 * 1024


def find_short_limit() -> Iterator[Finding]:
    """Announces the longest upload, and sends none of it. A proxy with a shorter limit responds with 413 at once."""
    through_the_front()
    headers = {"Content-Type": "application/json", "Content-Length": str(settings.REQUEST_MAX_BYTES)}
    try:
        response = Target(settings.SITE_URL).request("POST", "/instance0/sendFile", headers)
    except Unreachable:
        return  # it waits for the body, as a proxy does that keeps it until it is complete
    if response.status == 413:
        yield warning(
            f"The proxy refuses requests that this site accepts: of {sizes.in_words(settings.REQUEST_MAX_BYTES)} "
            "(REQUEST_MAX_BYTES).",
            f"nginx: client_max_body_size {settings.REQUEST_MAX_BYTES // 1024**2}m ({PROXY_DOCS}).",
        )


def find_short_url_limit() -> Iterator[Finding]:
    """A proxy refuses a URL that is longer than its buffer; some close the connection while it is being sent."""
    through_the_front()
    try:
        response = ask_front(settings.SITE_URL, padding=LONG_URL)
    except Unreachable as fault:
        detail = str(fault)
        if "timed out" in detail:
            raise NotCarriedOut("SITE_URL does not respond") from None
    else:
        if response.seen is not None:
            return
        detail = f"it responds with {response.status}"
    yield warning(
        f"The proxy refuses long URLs, which this site accepts: of {sizes.in_words(LONG_URL)}. Calls with a long "
        "message in the URL fail.",
        "nginx: large_client_header_buffers 4 64k; Caddy: max_header_size 128KiB; HAProxy: tune.bufsize 135168 "
        f"({PROXY_DOCS}).",
        detail,
    )


def find_removed_headers() -> Iterator[Finding]:
    """Compares the headers that arrived with those that were sent. A proxy may add a cookie of its own."""
    arrived = (through_the_front().seen or {}).get("headers")
    if arrived is None:
        raise NotCarriedOut("SITE_URL leads to a web server of another version")
    missing = [name for name, value in probe_headers().items() if value not in arrived.get(name, "")]
    if missing:
        yield error(
            f"The proxy removes or changes headers that this site needs: {', '.join(missing)}.",
            "Let the proxy pass on all headers of clients. API keys are in Authorization, sessions in Cookie, and "
            "messengers sign their callbacks in headers of their own.",
        )
