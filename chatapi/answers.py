"""The answers that belong to no app: not there, not allowed, and the site's icon where browsers look for it unasked."""

from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django.views.defaults import page_not_found, permission_denied

ICON = Path(settings.BASE_DIR) / "static" / "img" / "logo.svg"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page for people, whose browsers ask for HTML; JSON for programs, such as a client with a mistyped address."""
    if "text/html" in request.headers.get("Accept", ""):
        return page_not_found(request, exception)
    answer = JsonResponse({"error": "There is nothing at this address."}, status=404)
    answer.headers["Access-Control-Allow-Origin"] = (
        "*"  # as the wire contract's answers (contract.md, section 1)
    )
    return answer


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
