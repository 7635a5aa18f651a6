"""Ends the sessions of staff STAFF_SESSION_HOURS after they last signed in or confirmed their password."""

from __future__ import annotations

import time
from collections.abc import Callable

from allauth.account.internal.flows.login import get_authentication_records
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse

from accounts.models import User


def end_old_staff_sessions(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware after authentication and before impersonation: a session that is too old is signed out."""

    def middleware(request: HttpRequest) -> HttpResponse:
        # Without a session cookie there is no user; API calls need no query.
        if settings.SESSION_COOKIE_NAME in request.COOKIES and is_too_old(request):
            logout(request)
            messages.info(
                request,
                f"Sessions of staff end after {settings.STAFF_SESSION_HOURS} hours. Sign in again.",
            )
        return get_response(request)

    return middleware


def is_too_old(request: HttpRequest) -> bool:
    """Returns whether the request's user is staff and last signed in, with this session, too long ago."""
    user = request.user
    if not isinstance(user, User) or not user.is_staff:
        return False
    times = [float(record.get("at", 0)) for record in get_authentication_records(request, user)]
    if not times and user.last_login:  # a session that was not started on the sign-in page
        times = [user.last_login.timestamp()]
    return max(times, default=0.0) < time.time() - settings.STAFF_SESSION_HOURS * 3600
