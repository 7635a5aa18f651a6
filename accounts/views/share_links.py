"""The views behind links that let anyone read something: they ignore the session and change nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET


def with_link(
    find: Callable[[str], Any],
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Decorator: passes the token's link, which `find` returns, to the view; 404 if it returns None.

    The view must render without the request, so that no context processor reads a session.
    """

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @require_GET
        @wraps(view)
        def wrapped(request: HttpRequest, token: str, **arguments: Any) -> HttpResponse:
            link = find(token)
            if link is None:
                response = HttpResponse(render_to_string("accounts/invalid_link.html"), status=404)
            else:
                response = view(request, link, token, **arguments)
            response["Cache-Control"] = "no-store"
            response["Referrer-Policy"] = "no-referrer"  # the URL contains the token
            response["X-Robots-Tag"] = "noindex, nofollow"
            return response

        return wrapped

    return decorate
