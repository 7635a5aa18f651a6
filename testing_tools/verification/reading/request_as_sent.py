"""Reads from a request what its client sent: path, query, headers, body, as the web server received them.

The web server passes the bytes beside the WSGI environment (chatapi/runtime/web/received_request.py). Django's test
client and other servers do not: then the environment is read, which lacks the case and order of the headers.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest

from accounts import known_browsers
from testing_tools.verification.models import BODY_LIMIT

NOT_SHOWN = (
    "White space around header values, the sizes of chunks and the trailers after them are not shown, nor are this "
    "site's cookies. Values that are not UTF-8 are shown as Latin-1. A proxy in front of this site may have changed "
    "the request."
)
RAW_HEADERS = "chatapi.raw_headers"
RAW_PATH = "chatapi.raw_path"
BODY_OMITTED = "chatapi.body_omitted"
# The forwarding headers that no trusted proxy has set (chatapi/runtime/client_address.py).
REMOVED = "chatapi.removed_headers"
ORIGIN = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
CHARACTER = rb"(?:%[0-9a-fA-F]{2}|[\x00-\xff])"  # of a path: escaped or not


def decoded(value: bytes) -> str:
    """Returns bytes as text: UTF-8, or else Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def path_and_query(request: HttpRequest, key: str, suffix: str) -> tuple[str, str]:
    """Returns the path after `/bin/{key}` with its escapes, and the query. `suffix` is the unescaped path."""
    target: bytes | None = request.META.get(RAW_PATH)
    if target is None:
        return quote(suffix, safe="/:@!$&'()*+,;=~-._"), request.META.get("QUERY_STRING", "")
    path, _, query = ORIGIN.sub(b"", target, count=1).partition(b"?")
    before = re.match(CHARACTER + b"{%d}" % len(f"/bin/{key}"), path)
    return decoded(path[before.end() :] if before else path), decoded(query)


def headers(request: HttpRequest) -> list[tuple[str, str]]:
    """Returns [(name, value), …] in order.

    Excluded are the cookies of this site that identify a user, because a capture may be shared.
    """
    raw: list[tuple[bytes, bytes]] | None = request.META.get(RAW_HEADERS)
    if raw is None:
        pairs = environment_headers(request.META)
    else:
        pairs = ((name.decode("latin-1"), decoded(value)) for name, value in raw)
    found = []
    for name, value in pairs:
        shown = without_own_cookies(value) if name.lower() == "cookie" else value
        if shown or not value:
            found.append((name, shown))
    return found


def environment_headers(meta: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the headers of a WSGI environment, with lower-case names.

    Excluded are variables that a server adds from the process's environment: HTTP_PROXY is not a header.
    """
    for name, value in (meta | meta.get(REMOVED, {})).items():
        if name in ("CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_COOKIE") and value == "":
            continue  # there was none
        if name in ("CONTENT_TYPE", "CONTENT_LENGTH") or (
            name.startswith("HTTP_") and os.environ.get(name) != value
        ):
            yield name.removeprefix("HTTP_").replace("_", "-").lower(), str(value)


def without_own_cookies(value: str) -> str:
    """Returns a Cookie header's value without the cookies of this site; the others stay as sent."""
    own = {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, known_browsers.COOKIE, "messages"}
    cookies = value.split(";")
    kept = [cookie for cookie in cookies if cookie.partition("=")[0].strip() not in own]
    return value if len(kept) == len(cookies) else ";".join(kept).strip()


def body_and_size(request: HttpRequest) -> tuple[bytes, int]:
    """Returns the body and its size in bytes. Over BODY_LIMIT the body is empty, and the size is the declared one."""
    try:
        size = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        size = 0
    if size > BODY_LIMIT or request.META.get(BODY_OMITTED):
        return b"", size
    body = request.read(BODY_LIMIT + 1)
    return body, len(body)
