"""CORS for a bin: scripts of any site may call it and read its response, without credentials."""

import re
from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse

from chatapi.ui.header_fields import combined

PREFLIGHT_STATUS = 204
MAX_AGE = 600  # seconds that a browser remembers a preflight
# A method, or a list of header names. The response repeats what a request asks for: "*" does not include Authorization.
NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1000}")


def is_preflight(method: str, headers: Sequence[tuple[str, str]]) -> bool:
    """Returns whether a browser asks if it may send another request."""
    names = combined(headers)
    return method == "OPTIONS" and "origin" in names and "access-control-request-method" in names


def allow(response: HttpResponse, request: HttpRequest) -> None:
    """Add the headers that let scripts of any site read the response; configured ones stay as they are."""
    for name, value in (
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Expose-Headers", "*"),
        ("Access-Control-Allow-Methods", requested_names(request, "Access-Control-Request-Method")),
        ("Access-Control-Allow-Headers", requested_names(request, "Access-Control-Request-Headers")),
        ("Access-Control-Max-Age", str(MAX_AGE) if request.method == "OPTIONS" else ""),
    ):
        if value:
            response.headers.setdefault(name, value)


def requested_names(request: HttpRequest, name: str) -> str:
    """Returns the names that a preflight asks for; "" if it asks for none, or not for names."""
    value = request.headers.get(name, "")
    return value if NAMES.fullmatch(value) else ""
