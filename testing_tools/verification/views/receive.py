"""A bin's address, which takes whatever comes and answers as it was told to."""

import ipaddress
import os
import time
from collections.abc import Iterator
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from testing_tools.verification.actions import bins as actions_bins
from testing_tools.verification.actions.bins import Taken
from testing_tools.verification.models import BODY_LIMIT
from testing_tools.verification.reading.recognition import size_words
from testing_tools.verification.responses import TOO_MANY_SLOW, XML, place_to_wait

# A body over the limit is read on so far and thrown away: who is cut off while writing never reads our 413.
DRAINED = 16 * 1024 * 1024
# Whatever a bin's owner lets it answer: a browser that shows it runs nothing of it, as if it came from nowhere.
SANDBOX = "sandbox; default-src 'none'; frame-ancestors 'none'"
WITHOUT_BODY = (204, 205, 304)


@csrf_exempt
def capture(request: HttpRequest, key: str, suffix: str | None = None) -> HttpResponse:
    """`{site}/bin/{key}`: any method, 200 `{"ok": true}` or what was ordered; 413 over 1 MB; 404 for an unknown key.

    `/bin/{key}/503` answers that status once. An address for machines, so nothing here depends on who is signed
    in, nor shows what was captured.
    """
    body, size = read_body(request)
    taken = actions_bins.capture(
        key,
        method=request.method or "",
        path=quote(suffix or "", safe="/:@!$&'()*+,;=~-._"),
        query=request.META.get("QUERY_STRING", ""),
        headers=list(sent_headers(request)),
        body=body,
        size=size,
        remote_address=remote_address(request),
    )
    if taken is None:
        response = HttpResponse(
            "No bin has this address.\n", content_type="text/plain; charset=utf-8", status=404
        )
    elif size > BODY_LIMIT:
        words = f"A bin takes bodies of up to {size_words(BODY_LIMIT)}. That it came was noted, the body was not kept."
        response = JsonResponse({"ok": False, "error": words}, status=413)
    else:
        response = ordered_answer(taken)
    response["Cache-Control"] = "no-store"
    response["Content-Security-Policy"] = SANDBOX
    return response


def ordered_answer(taken: Taken) -> HttpResponse:
    """The answer, after its delay; where too many wait already, at once and with a header that says so."""
    if not taken.ordered:  # a failure on purpose, or a status that the address asks for
        response: HttpResponse = JsonResponse({"ok": taken.status < 400, "status": taken.status})
    else:
        response = HttpResponse(taken.body.encode(), content_type="text/plain; charset=utf-8")
        for name, value in taken.headers:
            response[name] = value
        if XML.match(response.headers.get("Content-Type", "")):
            # XHTML and SVG are XML too: a browser would show them as a page of this site, without any script
            response["Content-Disposition"] = 'attachment; filename="answer.xml"'
    response.status_code = taken.status
    if taken.status in WITHOUT_BODY:
        response.content = b""
        del response["Content-Type"]
    if taken.delay:
        with place_to_wait(taken.bin_id) as may_wait:
            if may_wait:
                time.sleep(taken.delay)
            else:
                actions_bins.say_not_delayed(taken)
                response["X-Bin-Note"] = TOO_MANY_SLOW
    return response


def read_body(request: HttpRequest) -> tuple[bytes, int]:
    """The body and its size in bytes; of one over the limit only the size, as far as it can be known."""
    try:
        declared = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        declared = 0
    if declared <= BODY_LIMIT:
        body = request.read(BODY_LIMIT + 1)
        return body, len(body)
    seen = 0
    while seen < min(declared, DRAINED) and (part := request.read(64 * 1024)):
        seen += len(part)
    return b"", declared


def sent_headers(request: HttpRequest) -> Iterator[tuple[str, str]]:
    """The headers in the order they came, as far as WSGI passes them on: names in lower case, doubled ones joined.

    Two things are left out: what granian mixes in from the process's environment (HTTP_PROXY is no header),
    and the cookies of this site, for a capture may be shown to others and must not carry a session.
    """
    own = {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, "messages"}  # those name the person
    for name, value in request.META.items():
        if name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            shown = name
        elif name.startswith("HTTP_") and os.environ.get(name) != value:
            shown = name.removeprefix("HTTP_")
        else:
            continue
        if shown == "COOKIE":
            value = "; ".join(
                pair for pair in str(value).split("; ") if pair.partition("=")[0].strip() not in own
            )
        if value != "":
            yield shown.replace("_", "-").lower(), str(value)


def remote_address(request: HttpRequest) -> str | None:
    """Who connected to us; None when the server does not say (a socket file)."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None
