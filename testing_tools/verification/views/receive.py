"""A bin's URL: stores every request and sends the configured response."""

import ipaddress

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from testing_tools.verification import cors, delays, echo, intake
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.actions.captures import CaptureResult
from testing_tools.verification.models import BODY_LIMIT
from testing_tools.verification.reading import request_as_sent
from testing_tools.verification.responses import TOO_MANY_DELAYED, XML

# For any configured response: a browser runs no part of it and gives it no origin.
SANDBOX = "sandbox; default-src 'none'; frame-ancestors 'none'"
WITHOUT_BODY = (204, 205, 304)


@csrf_exempt
def capture(request: HttpRequest, key: str, suffix: str | None = None) -> HttpResponse:
    """Stores a request with any registered method to `{site}/bin/{key}`, and sends the configured response.

    By default that is 200 `{"ok": true}`; 413 if the body is over 1 MB, 404 for an unknown key, 429 if the bin or the
    client has sent too many bytes in this minute, 507 if there is no space; 204 to a CORS preflight, if the owner
    allows CORS. `/bin/{key}/503` responds with that status once. The URL is for programs: it ignores the session and
    shows no captures.
    """
    if refused := intake.refuse(request, key):
        return with_bin_headers(refused)
    path, query = request_as_sent.path_and_query(request, key, suffix or "")
    body, size = request_as_sent.body_and_size(request)
    result = capture_actions.capture(
        key,
        method=request.method or "",
        path=path,
        query=query,
        http_version=request.META.get("SERVER_PROTOCOL", "").removeprefix("HTTP/"),
        headers=request_as_sent.headers(request),
        body=body,
        size=size,
        remote_address=remote_address(request),
    )
    if result is None:
        return with_bin_headers(unknown_bin())
    intake.count(request, key, min(size, BODY_LIMIT))
    if result.refusal:
        error = {"ok": False, "error": result.refusal.sentence}
        response: HttpResponse = JsonResponse(error, status=result.refusal.status)
    elif result.is_preflight:
        response = HttpResponse(status=result.status)
        del response["Content-Type"]
    else:
        response = configured_response(result, query)
    if result.has_cors:
        cors.allow(response, request)
    return with_bin_headers(response)


def with_bin_headers(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    response["Content-Security-Policy"] = SANDBOX
    return response


def unknown_bin() -> HttpResponse:
    return HttpResponse("No bin has this URL.\n", content_type="text/plain; charset=utf-8", status=404)


def configured_response(result: CaptureResult, query: str) -> HttpResponse:
    """Returns the response to a request with this query; the web server sends it after its delay, without a thread.

    If too many delayed responses wait already, there is no delay, and a header says so.
    """
    if not result.is_configured:  # a configured failure, or a status from the URL
        response: HttpResponse = JsonResponse({"ok": result.status < 400, "status": result.status})
    else:
        response = HttpResponse(content_type="text/plain; charset=utf-8")
        for name, value in result.headers:
            response[name] = value
        response.content = echo.fill_in(result.body, query, response["Content-Type"]).encode()
        if XML.match(response["Content-Type"]):
            # XHTML and SVG are XML: a browser would show them as a page of this site, though without scripts
            response["Content-Disposition"] = 'attachment; filename="response.xml"'
    response.status_code = result.status
    if result.status in WITHOUT_BODY:
        response.content = b""
        del response["Content-Type"]
    if result.delay:
        if delays.WAITING.add(result.bin_id, result.delay):
            response.send_after = result.delay  # type: ignore[attr-defined]  # read by the web server
        else:
            capture_actions.record_no_delay(result)
            response["X-Bin-Note"] = TOO_MANY_DELAYED
    return response


def remote_address(request: HttpRequest) -> str | None:
    """Returns the client's IP address; None if the server does not know it (a socket file)."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None
