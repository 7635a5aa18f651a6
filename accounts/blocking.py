"""Tells the users and programs of a blocked account that it is blocked, and whom to contact.

The owner can sign in and out and sees this message on every page. Members see the instances, which are stopped.
"""

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

# sign-out, the support desk, and URLs that accept requests from anyone
OPEN_PATHS = ("/accounts/logout/", "/admin/", "/static/", "/bin/", "/healthz", "/readyz")


class Blocked(PermissionDenied):
    """The account is blocked; str() is the message for its users and programs. REST framework responds 403 with it."""

    def __init__(self) -> None:
        super().__init__(blocked_message())


def blocked_message() -> str:
    return f"This account is blocked. Ask {support_contact()}."


def support_contact() -> str:
    return settings.SUPPORT_EMAIL or "the administrator of this site"


def blocked_accounts(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware after authentication: the owner of a blocked account gets one page for every URL."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not is_blocked(request):
            return get_response(request)
        if request.headers.get("HX-Request"):  # the reason, which the page shows
            return HttpResponse(blocked_message(), status=403, content_type="text/plain; charset=utf-8")
        if "text/html" not in request.headers.get("Accept", "text/html"):
            return JsonResponse({"error": blocked_message()}, status=403)
        return render(request, "accounts/blocked.html", {"support": settings.SUPPORT_EMAIL}, status=403)

    return middleware


def is_blocked(request: HttpRequest) -> bool:
    """Returns whether the signed-in user's own account is blocked.

    No query without a session cookie. With one, the user is loaded with their account (accounts/backends.py).
    """
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or request.path.startswith(OPEN_PATHS):
        return False
    account = getattr(request.user, "account", None)
    if getattr(request.user, "is_impersonated", False):  # staff may view a blocked account
        return False
    return account is not None and account.blocked_at is not None
