"""Captures sent on, one as it is or edited, or many one after the other, through the one guarded door of hooks.

So a replay reaches what a hook may reach and nothing else, follows no redirect, and ends after 10 seconds.
"""

import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from chatapi.ui import request_snippets
from chatapi.ui.json_text import pretty_bytes
from hooks import guard, http, webhook_urls
from hooks.explain import Explanation, explain_outcome
from hooks.http import Response
from hooks.models import Outcome
from instances.pages.log.attempts import wire_words
from testing_tools.verification.models import BODY_LIMIT, Capture, CaptureQuerySet
from testing_tools.verification.responses import NAME

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MOST_HEADERS = 100
# libcurl makes these itself; and nothing may be smuggled into the next request on the same connection
NOT_SENT = request_snippets.CLIENT_HEADERS | {"te", "trailer", "proxy-connection", "proxy-authorization"}
FORM_MOST = 256 * 1024  # bytes of a body that can be edited in a form
AT_ONCE = 10  # captures that one step of a forwarding reads
STEP = 4.0  # seconds after which a step ends, so that the page tells how far it is


class BadReplay(ValueError):
    """It can't be sent; str() is a sentence for people."""


class Request(NamedTuple):
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Replayed(NamedTuple):
    """What came of it. `side` is what includes/boxes.html takes, `wire` what stands on its line."""

    request: Request
    answer: Response
    explanation: Explanation
    side: str
    wire: str
    host: str
    answer_body: str


class Fields(NamedTuple):
    """What the form shows; `body` None: bytes that no form can show, which go as they are."""

    method: str
    headers: str
    body: str | None


def form_of(capture: Capture) -> Fields:
    """The form for editing a capture."""
    headers = "\n".join(
        f"{name}: {value}" for name, value in request_snippets.without_client_headers(capture.headers)
    )
    return Fields(capture.method, headers, request_snippets.body_text(bytes(capture.body), FORM_MOST))


def as_captured(capture: Capture, url: str) -> Request:
    """The request byte for byte, to another address. Raises BadReplay."""
    kept = tuple((name, value) for name, value in capture.headers if name.lower() not in NOT_SENT)
    return checked(capture.method, url, kept, bytes(capture.body))


def edited(form: Mapping[str, Any], capture: Capture) -> Request:
    """The request of a form; without a `body` field (bytes that no form can show) with the captured one."""
    headers = []
    for number, line in enumerate(str(form.get("headers", "")).splitlines(), 1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not line.strip():
            continue
        if not colon or not NAME.fullmatch(name):
            raise BadReplay(f"Line {number} of the headers is none: it takes “Name: value”.")
        headers.append((name, value))
    text = form.get("body")
    if text is None:
        body = bytes(capture.body)
    else:
        # a form sends line breaks as CRLF; what was captured with LF stays so, or no signature would fit
        text = str(text) if b"\r\n" in bytes(capture.body) else str(text).replace("\r\n", "\n")
        body = text.encode(errors="replace")
    return checked(str(form.get("method", "")).upper(), str(form.get("url", "")), tuple(headers), body)


def checked(method: str, url: str, headers: tuple[tuple[str, str], ...], body: bytes) -> Request:
    """Raises BadReplay."""
    if method not in METHODS:
        raise BadReplay(f"{method or 'An empty method'} can't be sent; these can: {', '.join(METHODS)}.")
    try:
        url = webhook_urls.check(url)
    except webhook_urls.BadAddress as error:
        raise BadReplay(str(error)) from None
    if len(headers) > MOST_HEADERS:
        raise BadReplay(f"These are {len(headers)} headers; at most {MOST_HEADERS} are sent.")
    for name, value in headers:
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise BadReplay(f"The header {name} holds a line break or another control character.")
        if any(letter > "\xff" for letter in value):
            raise BadReplay(f"The header {name} holds a letter that HTTP has no byte for; encode it first.")
    if len(body) > BODY_LIMIT:
        raise BadReplay("The body is longer than 1 MB.")
    return Request(method, url, tuple(pair for pair in headers if pair[0].lower() not in NOT_SENT), body)


def replay(request: Request) -> Replayed:
    """Send it now, in this thread; it takes 10 s at most and never raises."""
    answer = http.send(request.method, request.url, request.headers, request.body)
    location = answer.header("location") if answer.outcome == Outcome.REDIRECT else ""
    explanation = explain_outcome(
        answer.outcome, url=request.url, status=answer.status, error=answer.error, location=location
    )
    return Replayed(
        request,
        answer,
        explanation,
        side=explanation.side.value if explanation.side else "",
        wire=wire_words(answer.status, answer.total_ms),
        host=urlsplit(request.url).netloc,
        answer_body=pretty_bytes(answer.body),
    )


class Progress(NamedTuple):
    """How far a forwarding has come: the number of the last capture, and how many went, were refused, did not go."""

    last: int = 0
    accepted: int = 0
    refused: int = 0
    unreached: int = 0
    in_a_row: int = 0  # that were not reached, up to the last one
    fault: str = ""

    @property
    def sent(self) -> int:
        return self.accepted + self.refused + self.unreached


GIVE_UP = 3  # that are not reached in a row: the address is not there


def forward(captures: CaptureQuerySet, url: str, before: Progress) -> tuple[Progress, bool]:
    """Send on those after `before.last`, oldest first, for STEP seconds; how far it came, and if there are more.

    Every 2xx counts as accepted. A stub, whose body was not kept, is passed over.
    """
    now, began = before, time.monotonic()
    rows = list(
        captures.filter(number__gt=now.last, too_large=False)
        .order_by("number")
        .values_list("pk", flat=True)[: AT_ONCE + 1]
    )
    for pk in rows[:AT_ONCE]:
        if time.monotonic() - began > STEP:
            return now, True
        capture = captures.filter(pk=pk).first()
        if capture is None:
            continue
        try:
            answer = http.send(*as_captured(capture, url))
        except BadReplay as error:
            now = now._replace(last=capture.number, unreached=now.unreached + 1, fault=str(error))
            continue
        now = counted(now, capture.number, url, answer)
        if now.in_a_row >= GIVE_UP:
            return now, True
    return now, len(rows) > AT_ONCE


def counted(now: Progress, number: int, url: str, answer: Response) -> Progress:
    if answer.status is None:
        fault = explain_outcome(answer.outcome, url=url, error=answer.error).sentence
        return now._replace(last=number, unreached=now.unreached + 1, in_a_row=now.in_a_row + 1, fault=fault)
    if 200 <= answer.status < 300:
        return now._replace(last=number, accepted=now.accepted + 1, in_a_row=0)
    fault = explain_outcome(answer.outcome, url=url, status=answer.status, error=answer.error).sentence
    return now._replace(last=number, refused=now.refused + 1, in_a_row=0, fault=fault)


def leads_to_itself(url: str, capture_bin_url: str) -> bool:
    """Is it this very bin? What is forwarded there would come in again, and be forwarded with the rest."""
    return guard.is_own_bin(url) and re.match(re.escape(capture_bin_url) + r"(?![a-z0-9])", url) is not None
