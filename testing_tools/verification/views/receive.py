"""A bin's URL: stores every request and sends the configured response."""

import ipaddress
import os
import time
from collections.abc import Iterator
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from chatapi.ui import sizes
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.actions.captures import CaptureResult
from testing_tools.verification.models import BODY_LIMIT
from testing_tools.verification.responses import TOO_MANY_DELAYED, XML, delay_slot

# A body over the limit is read up to here and discarded: a client cut off while writing never reads our 413.
DRAINED = 16 * 1024 * 1024
# For any configured response: a browser runs no part of it and gives it no origin.
SANDBOX = "sandbox; default-src 'none'; frame-ancestors 'none'"
# The Transfer-Encoding of a request whose body the WSGI application has read (chatapi/wsgi.py).
CHUNKED = "chatapi.transfer_encoding"
# The forwarding headers that no trusted proxy has set (chatapi/runtime/client_address.py).
REMOVED = "chatapi.removed_headers"
WITHOUT_BODY = (204, 205, 304)


@csrf_exempt
def capture(request: HttpRequest, key: str, suffix: str | None = None) -> HttpResponse:
    """Stores a request with any method to `{site}/bin/{key}`, and sends the configured response.

    By default that is 200 `{"ok": true}`; 413 if the body is over 1 MB, 404 for an unknown key. `/bin/{key}/503`
    responds with that status once. The URL is for programs: it ignores the session and shows no captures.
    """
    body, size = read_body(request)
    result = capture_actions.capture(
        key,
        method=request.method or "",
        path=quote(suffix or "", safe="/:@!$&'()*+,;=~-._"),
        query=request.META.get("QUERY_STRING", ""),
        headers=list(sent_headers(request)),
        body=body,
        size=size,
        remote_address=remote_address(request),
    )
    if result is None:
        response = unknown_bin()
    elif size > BODY_LIMIT:
        words = f"A bin stores bodies of up to {sizes.in_words(BODY_LIMIT)}. The request was recorded without its body."
        response = JsonResponse({"ok": False, "error": words}, status=413)
    else:
        response = configured_response(result)
    response["Cache-Control"] = "no-store"
    response["Content-Security-Policy"] = SANDBOX
    return response


def unknown_bin() -> HttpResponse:
    return HttpResponse("No bin has this URL.\n", content_type="text/plain; charset=utf-8", status=404)


def configured_response(result: CaptureResult) -> HttpResponse:
    """Returns the response after its delay. If too many responses wait, there is no delay, and a header says so."""
    if not result.is_configured:  # a configured failure, or a status from the URL
        response: HttpResponse = JsonResponse({"ok": result.status < 400, "status": result.status})
    else:
        response = HttpResponse(result.body.encode(), content_type="text/plain; charset=utf-8")
        for name, value in result.headers:
            response[name] = value
        if XML.match(response.headers.get("Content-Type", "")):
            # XHTML and SVG are XML: a browser would show them as a page of this site, though without scripts
            response["Content-Disposition"] = 'attachment; filename="response.xml"'
    response.status_code = result.status
    if result.status in WITHOUT_BODY:
        response.content = b""
        del response["Content-Type"]
    if result.delay:
        with delay_slot(result.bin_id) as may_wait:
            if may_wait:
                time.sleep(result.delay)
            else:
                capture_actions.record_no_delay(result)
                response["X-Bin-Note"] = TOO_MANY_DELAYED
    return response


def read_body(request: HttpRequest) -> tuple[bytes, int]:
    """Returns the body and its size in bytes. Over the limit the body is empty, and the size is the declared one."""
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
    """Yields the headers as WSGI has them (reading/lost_details.py), with lower-case names.

    An empty value may also be a value that is not ASCII. Excluded: variables that granian adds from the process's
    environment (HTTP_PROXY is not a header), and the cookies of this site, because a capture may be shared and must
    not contain a session.
    """
    own = {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, "messages"}  # these identify the user
    for name, value in (request.META | request.META.get(REMOVED, {})).items():
        if name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            shown = name
        elif name.startswith("HTTP_") and os.environ.get(name) != value:
            shown = name.removeprefix("HTTP_")
        else:
            continue
        if shown == "COOKIE":
            pairs = [
                pair.strip() for pair in str(value).split(";")
            ]  # granian joins two headers without a space
            value = "; ".join(pair for pair in pairs if pair.partition("=")[0].strip() not in own)
        if shown in ("CONTENT_TYPE", "CONTENT_LENGTH", "COOKIE") and value == "":
            continue  # there was none, or only cookies of this site
        if shown == "CONTENT_LENGTH" and CHUNKED in request.META:
            shown, value = "TRANSFER_ENCODING", request.META[CHUNKED]
        yield shown.replace("_", "-").lower(), str(value)


def remote_address(request: HttpRequest) -> str | None:
    """Returns the client's IP address; None if the server does not know it (a socket file)."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None
