"""Responses that belong to no app: 400, 403, 404, 500, and the site's icon at the default URL of browsers."""

from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django.views.defaults import bad_request as bad_request_page
from django.views.defaults import page_not_found, permission_denied
from django.views.defaults import server_error as server_error_page

from chatapi.middleware import is_of_contract
from instances.contract.errors import INTERNAL

ICON = Path(settings.BASE_DIR) / "static" / "img" / "logo.svg"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page for browsers, which accept HTML; JSON for programs, such as a client with a mistyped URL."""
    if wants_page(request):
        return page_not_found(request, exception)
    return in_json("There is nothing at this URL.", 404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Requests that Django refuses before any view runs, such as those for a host that is not served."""
    if wants_page(request):
        return bad_request_page(request, exception)
    return in_json("The request is invalid: check its host, length and format.", 400)


def failed(request: HttpRequest) -> HttpResponse:
    """Errors outside the views that handle their own."""
    if wants_page(request):
        return server_error_page(request)
    return in_json(INTERNAL, 500)


def wants_page(request: HttpRequest) -> bool:
    return "text/html" in request.headers.get("Accept", "") and not is_of_contract(request.path_info)


def in_json(sentence: str, status: int) -> JsonResponse:
    """Any origin may read it, like the wire contract's responses (contract.md, section 1)."""
    return JsonResponse({"error": sentence}, status=status, headers={"Access-Control-Allow-Origin": "*"})


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page with the reason, if one was given; for htmx the reason as text, which app.js shows on the page."""
    if getattr(request, "htmx", False):
        words = str(exception) or "You do not have access to this page."
        return HttpResponse(words, status=403, content_type="text/plain; charset=utf-8")
    return permission_denied(request, exception)


@require_safe
@cache_control(public=True, max_age=86_400)
def favicon(request: HttpRequest) -> HttpResponse:
    """Pages of packages, such as the admin's, name no icon; browsers then request this one."""
    return HttpResponse(ICON.read_bytes(), content_type="image/svg+xml")
