"""Sends a captured request to another URL, unchanged or edited, through hooks/http.py.

So a replay can reach the same IP addresses as a hook and no others, follows no redirects, and ends after 10 seconds.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from chatapi.ui import request_snippets
from chatapi.ui.body_reading import ReadableBody
from hooks import http
from hooks.explain.sentences import Explanation, explain_response
from hooks.explain.verdicts import failed_phase
from hooks.http import Response
from hooks.models import Outcome
from hooks.urls import webhook_urls
from instances.pages.log.attempts import original_bytes, read_response, wire_words
from testing_tools.verification.models import BODY_LIMIT, Capture
from testing_tools.verification.responses import HEADER_NAME

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MAX_HEADERS = 100
# libcurl creates these headers, and none may smuggle a second request into the connection
NOT_SENT = request_snippets.CLIENT_HEADERS | {"te", "trailer", "proxy-connection", "proxy-authorization"}
MAX_FORM_BODY = 256 * 1024  # bytes of a body that can be edited in a form


class InvalidReplay(ValueError):
    """The request cannot be sent; `field` is method, url, headers or body, str() the message for the user."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class Request(NamedTuple):
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Replayed(NamedTuple):
    """The result of a replay. `side` and `wire` are parameters of instances/pages/log/boxes.html."""

    request: Request
    response: Response
    explanation: Explanation
    side: str
    wire: str
    host: str
    body: ReadableBody
    body_hex: str
    is_cut: bool  # the body of the response may end inside a character


class Fields(NamedTuple):
    """The values of the form; `body` is None if a form cannot show its bytes: they are sent unchanged."""

    method: str
    headers: str
    body: str | None


def form_values(capture: Capture) -> Fields:
    """Returns the values of the form that edits this capture."""
    headers = "\n".join(
        f"{name}: {value}" for name, value in request_snippets.without_client_headers(capture.headers)
    )
    return Fields(capture.method, headers, request_snippets.body_text(bytes(capture.body), MAX_FORM_BODY))


def edited_request(form: Mapping[str, Any], capture: Capture) -> Request:
    """Returns the request of a form; without a `body` field, it has the captured body. Raises InvalidReplay."""
    headers = []
    for number, line in enumerate(str(form.get("headers", "")).splitlines(), 1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not line.strip():
            continue
        if not colon or not HEADER_NAME.fullmatch(name):
            raise InvalidReplay("headers", f"Line {number} is not a header: use “Name: value”.")
        headers.append((name, value))
    text = form.get("body")
    if text is None:
        body = bytes(capture.body)
    else:
        # Forms send line breaks as CRLF. A body captured with LF keeps LF, so that its signature still matches.
        text = str(text) if b"\r\n" in bytes(capture.body) else str(text).replace("\r\n", "\n")
        body = text.encode(errors="replace")
    return validated(str(form.get("method", "")).upper(), str(form.get("url", "")), tuple(headers), body)


def changed_request(
    capture: Capture,
    url: str,
    *,
    method: str | None = None,
    headers: Sequence[tuple[str, str]] | None = None,
    body: bytes | None = None,
) -> Request:
    """Returns the captured request with these changes; what is None stays as captured. Raises InvalidReplay.

    Values that are not ASCII are sent as UTF-8, also if they were captured as Latin-1.
    """
    if body is None and capture.too_large:
        raise InvalidReplay(
            "body", "The captured body was not stored. Replay the request with a body of your own."
        )
    for number, (name, _) in enumerate(headers or (), 1):
        if not HEADER_NAME.fullmatch(name):
            raise InvalidReplay("headers", f"Header {number} has an invalid name.")
    return validated(
        capture.method if method is None else method,
        url,
        tuple((name, value) for name, value in (capture.headers if headers is None else headers)),
        bytes(capture.body) if body is None else body,
    )


def validated(method: str, url: str, headers: tuple[tuple[str, str], ...], body: bytes) -> Request:
    """Returns the request, without the headers of NOT_SENT. Raises InvalidReplay if it cannot be sent."""
    if method not in METHODS:
        raise InvalidReplay(
            "method", f"{method or 'An empty method'} cannot be sent. Use one of {', '.join(METHODS)}."
        )
    try:
        url = webhook_urls.check(url)
    except webhook_urls.InvalidUrl as error:
        raise InvalidReplay("url", str(error)) from None
    headers = tuple(pair for pair in headers if pair[0].lower() not in NOT_SENT)
    if len(headers) > MAX_HEADERS:
        raise InvalidReplay("headers", f"{len(headers)} headers are too many: the limit is {MAX_HEADERS}.")
    for name, value in headers:
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise InvalidReplay(
                "headers", f"The header {name} contains a line break or another control character."
            )
    if len(body) > BODY_LIMIT:
        raise InvalidReplay("body", "The body is longer than 1 MB.")
    return Request(method, url, headers, body)


def replay(request: Request) -> Replayed:
    """Send the request now, in this thread; takes at most 10 s and never raises."""
    response = http.send(request.method, request.url, request.headers, request.body)
    explanation = explain_response(response, url=request.url)
    is_cut = response.size > len(response.body) or response.outcome in (Outcome.RESET, Outcome.TIMEOUT)
    body = read_response(response.body, response.headers, is_cut=is_cut)
    return Replayed(
        request,
        response,
        explanation,
        side=explanation.side.value if explanation.side else "",
        wire=wire_words(response.status, response.total_ms, is_complete=failed_phase(response) is None),
        host=urlsplit(request.url).netloc,
        body=body,
        body_hex=original_bytes(response.body, body),
        is_cut=is_cut,
    )
