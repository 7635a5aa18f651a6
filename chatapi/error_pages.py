"""Responses that belong to no app: 400, 403, 404, 500, 503, and the site's icon at the default URL of browsers.

A request of htmx gets the reason as plain text, which request-errors.js shows at the control that was used.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port
from django.middleware.csrf import REASON_BAD_ORIGIN, REASON_NO_CSRF_COOKIE
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.csrf import csrf_failure
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django.views.defaults import bad_request as bad_request_page
from django.views.defaults import page_not_found, permission_denied
from django.views.defaults import server_error as server_error_page
from psycopg.errors import ForeignKeyViolation

from chatapi.encryption.cipher import UNREADABLE, UnreadableSecret
from chatapi.middleware import is_of_programs
from chatapi.ui.error_texts import MAX_ERROR_PAGE_BYTES
from instances.contract.errors import INTERNAL

log = logging.getLogger(__name__)

INVALID = "The request is invalid: check its host, length and format."
FORM_TOO_LONG = (
    "The form was refused, and its fields are too long to be shown again. Go back and shorten them."
)
OTHER_ORIGIN = REASON_BAD_ORIGIN.split("%s")[0]
MAX_HOST = 253  # characters of a host name
ICON = Path(settings.FILES_DIR) / "static" / "img" / "logo.svg"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page for browsers, which accept HTML; JSON for programs, such as a client with a mistyped URL."""
    if is_of_htmx(request):
        return in_text("This no longer exists, or it belongs to another account. Reload the page.", 404)
    if wants_page(request):
        return page_not_found(request, exception)
    return in_json("There is nothing at this URL.", 404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Requests that Django refuses before any view runs, such as those for a host that is not served."""
    if is_of_htmx(request):
        return in_text(INVALID, 400)
    if wants_page(request):
        return bad_request_page(request, exception)
    return in_json(INVALID, 400)


def host_refused(request: HttpRequest, host: str) -> HttpResponse:
    """A request for a page under a host name that is not SITE_URL's, this machine's or one of ALLOWED_HOSTS."""
    name = split_domain_port(host)[0][:MAX_HOST]  # empty if it is not a host name
    if wants_page(request) and not is_of_htmx(request):
        return HttpResponse(
            render_to_string("unknown_host.html", {"host": name, "site_url": settings.SITE_URL}), status=400
        )
    sentence = (
        f"Pages of this site do not respond to the host name {name or '(invalid)'}. Use {settings.SITE_URL}, "
        "or add the name to ALLOWED_HOSTS."
    )
    return in_text(sentence, 400) if is_of_htmx(request) else in_json(sentence, 400)


def failed(request: HttpRequest) -> HttpResponse:
    """Errors outside the views that handle their own."""
    if is_of_htmx(request):
        return in_text("The server failed with an error, which is in its log.", 500)
    if wants_page(request):
        return server_error_page(request)
    return in_json(INTERNAL, 500)


class UnreadableSecrets:
    """Middleware: 503 if a stored secret cannot be decrypted. The log says which; SECRETS_KEY or the row is wrong."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, UnreadableSecret):
            return None
        log.error("%s", error)
        if is_of_htmx(request):
            return in_text(UNREADABLE, 503)
        return render(request, "503.html", status=503) if wants_page(request) else in_json(UNREADABLE, 503)


class DeletedMeanwhile:
    """Middleware: 404 if what a request is about was deleted after the view had found it.

    A missing row, or one that refers to a missing row, counts, as in instances/api/errors.py; other errors stay errors.
    The wire contract handles this itself.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, ObjectDoesNotExist) and not isinstance(error.__cause__, ForeignKeyViolation):
            return None
        log.warning("%s %s: a row was deleted meanwhile (%s)", request.method, request.path, error)
        return not_found(request, error)


class ShortErrors:
    """Middleware: a page that shows a refused form again is replaced by a sentence if its fields are too long for that.

    Fields are shown as they were sent, up to 2 MB, and as HTML they may be six times as long. Bins respond as their
    owners have configured them.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if (
            response.streaming
            or not (response.status_code >= 400 or shows_form_errors(response))
            or request.method in ("GET", "HEAD")
            or len(response.content) <= MAX_ERROR_PAGE_BYTES
            or not response.headers.get("Content-Type", "").startswith("text/html")
            or request.path.startswith("/bin/")
        ):
            return response
        if is_of_htmx(request):
            return in_text(FORM_TOO_LONG, 400)
        return render(request, "400.html", {"sentence": FORM_TOO_LONG}, status=400)


def shows_form_errors(response: HttpResponse) -> bool:
    """Whether the page shows a form with errors; allauth's pages do so with status 200."""
    form = (getattr(response, "context_data", None) or {}).get("form")
    return bool(getattr(form, "errors", None))


def wants_page(request: HttpRequest) -> bool:
    return "text/html" in request.headers.get("Accept", "") and not is_of_programs(request.path_info)


def in_json(sentence: str, status: int) -> JsonResponse:
    """Any origin may read it, like the wire contract's responses (contract.md, section 1)."""
    return JsonResponse({"error": sentence}, status=status, headers={"Access-Control-Allow-Origin": "*"})


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page with the reason, if one was given."""
    if is_of_htmx(request):
        return in_text(str(exception) or "You do not have access to this page.", 403)
    return permission_denied(request, exception)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A page, or for htmx the cause: signing in gives a session another CSRF token, so an older page's is refused."""
    if not is_of_htmx(request):
        return csrf_failure(request, reason=reason)
    if reason == REASON_NO_CSRF_COOKIE:
        return in_text(
            "Your browser sent no cookies. Allow cookies for this site, then reload the page.", 403
        )
    if reason.startswith(OTHER_ORIGIN):
        return in_text(f"The request did not come from {settings.SITE_URL}. Open the page at this URL.", 403)
    return in_text("Your session changed in another tab. Reload the page.", 403)


def is_of_htmx(request: HttpRequest) -> bool:
    """By the header: errors of early middleware come before HtmxMiddleware."""
    return request.headers.get("HX-Request") == "true"


def in_text(sentence: str, status: int) -> HttpResponse:
    return HttpResponse(sentence, status=status, content_type="text/plain; charset=utf-8")


@require_safe
@cache_control(public=True, max_age=86_400)
def favicon(request: HttpRequest) -> HttpResponse:
    """Pages of packages, such as the admin's, name no icon; browsers then request this one."""
    return HttpResponse(ICON.read_bytes(), content_type="image/svg+xml")
