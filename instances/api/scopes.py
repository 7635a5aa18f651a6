"""Checks that the key of a REST call has the scope it needs, which the table in chatapi/rest_scopes.py names."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

from accounts.key_scopes import missing_scope
from accounts.models import AccountKey, Scope

View = Callable[..., HttpResponse]
NO_SCOPE = "This call cannot be made with an account key."


def with_scopes(view: View, scopes: Mapping[str, Scope]) -> View:
    """Returns the view of a URL, whose calls need these scopes, by the method."""

    @wraps(view)
    def respond(request: HttpRequest, **arguments: Any) -> HttpResponse:
        request.scopes = scopes  # type: ignore[attr-defined]  # for HasScope
        return view(request, **arguments)

    return respond


def key_of(request: Request) -> AccountKey:
    """Returns the key of an authenticated call, with its account."""
    found: AccountKey = request.account_key  # type: ignore[attr-defined]  # set by authentication.py
    return found


class HasScope(IsAuthenticated):
    """Raises PermissionDenied (403), which names the missing scope."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        method = str(request.method)
        if method == "OPTIONS" or not hasattr(view, method.lower()):
            return True  # it describes the call, or responds 405
        scopes: Mapping[str, Scope] = getattr(request._request, "scopes", {})
        needed = scopes.get("GET" if method == "HEAD" else method)
        if needed is None:
            raise exceptions.PermissionDenied(NO_SCOPE)
        if sentence := missing_scope(key_of(request), {needed}):
            raise exceptions.PermissionDenied(sentence)
        return True
