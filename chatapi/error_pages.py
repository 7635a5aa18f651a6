"""The answers that belong to no app: not there, not allowed, and the site's icon where browsers look for it unasked."""

from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django.views.defaults import bad_request as page_of_bad_request
from django.views.defaults import page_not_found, permission_denied
from django.views.defaults import server_error as page_of_fault

from chatapi.middleware import is_of_contract

ICON = Path(settings.BASE_DIR) / "static" / "img" / "logo.svg"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page for people, whose browsers ask for HTML; JSON for programs, such as a client with a mistyped address."""
    if wants_page(request):
        return page_not_found(request, exception)
    return in_json("There is nothing at this address.", 404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django itself refuses, such as a host that is not served, before any view sees it."""
    if wants_page(request):
        return page_of_bad_request(request, exception)
    return in_json("The request is not one that can be answered: its host, length or form is wrong.", 400)


def failed(request: HttpRequest) -> HttpResponse:
    """A fault outside of the views that answer faults of their own."""
    if wants_page(request):
        return page_of_fault(request)
    return in_json("Internal error. It was written to the log of the server.", 500)


def wants_page(request: HttpRequest) -> bool:
    return "text/html" in request.headers.get("Accept", "") and not is_of_contract(request.path_info)


def in_json(sentence: str, status: int) -> JsonResponse:
    """Any origin may read it, as it may the wire contract's answers (contract.md, section 1)."""
    return JsonResponse({"error": sentence}, status=status, headers={"Access-Control-Allow-Origin": "*"})


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page that says why, where somebody said it; to htmx the sentence alone, which app.js shows on the page."""
    if getattr(request, "htmx", False):
        words = str(exception) or "This is not for you."
        return HttpResponse(words, status=403, content_type="text/plain; charset=utf-8")
    return permission_denied(request, exception)


@require_safe
@cache_control(public=True, max_age=86_400)
def favicon(request: HttpRequest) -> HttpResponse:
    """Pages that are not ours, such as the staff's, name no icon; browsers then ask for this one."""
    return HttpResponse(ICON.read_bytes(), content_type="image/svg+xml")
