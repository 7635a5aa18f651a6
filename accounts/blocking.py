"""What a blocked account's people and programs are told: that it is blocked, and whom to ask.

Its owner can sign in and out, and finds this on every page; its members see the instances, which are stopped.
"""

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

# signing out, the staff's own pages, and what takes requests from the whole world
OPEN = ("/accounts/logout/", "/admin/", "/static/", "/bin/", "/healthz", "/readyz")


class Blocked(PermissionDenied):
    """The account is blocked; str() is a sentence for its people and programs. REST framework answers 403 with it."""

    def __init__(self) -> None:
        super().__init__(sentence())


def sentence() -> str:
    return f"This account is blocked. Ask {whom_to_ask()}."


def whom_to_ask() -> str:
    return settings.SUPPORT_EMAIL or "whoever runs this site"


def blocked_accounts(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware after the sign-in: shows the owner of a blocked account one page, whatever they ask for."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not is_blocked(request):
            return get_response(request)
        if "text/html" not in request.headers.get("Accept", "text/html"):
            return JsonResponse({"error": sentence()}, status=403)
        return render(request, "accounts/blocked.html", {"support": settings.SUPPORT_EMAIL}, status=403)

    return middleware


def is_blocked(request: HttpRequest) -> bool:
    """Costs nothing without a session; with one, the person comes with the account (accounts/backends.py)."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or request.path.startswith(OPEN):
        return False
    account = getattr(request.user, "account", None)
    if getattr(request.user, "is_looked_at", False):  # staff may look at it all the same
        return False
    return account is not None and account.blocked_at is not None
