"""Middleware after authentication: pages show a user's own change at once, although they may read from a replica."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.db import Error
from django.http import HttpRequest, HttpResponse

from accounts.models import Account
from chatapi.database.replica import remember_change

log = logging.getLogger(__name__)

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def own_changes(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Remembers, before the response is sent, that the user's accounts were changed. Three queries per change."""
    if not settings.REPLICA_DATABASE:
        raise MiddlewareNotUsed

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # Bins take requests of everyone: their responses must not depend on a session.
        if request.method not in SAFE_METHODS and settings.SESSION_COOKIE_NAME in request.COOKIES:
            try:
                accounts = Account.objects.visible_to(request.user)
                remember_change(list(accounts.values_list("pk", flat=True)))
            except Error:
                log.warning("A change could not be remembered; pages may show it late", exc_info=True)
        return response

    return middleware
