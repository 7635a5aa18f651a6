"""Sensitive changes ask for the password again: "Confirm it's you. Enter your password to continue."

A session that someone else got hold of must not be enough to take over an account. Views are marked with
`password_required`; allauth's own views of addresses, second factor and recovery codes raise the same exception. The
middleware here answers it in one place, for pages and for htmx. After the password, the request that was refused is
handled as it was sent. The password counts for ACCOUNT_REAUTHENTICATION_TIMEOUT seconds of the session.

Changes without it: those that take rights away from oneself (leave, decline, sign out elsewhere), and what the token on
an instance's page could do as well, such as its webhook URL and settings. Programs have a key or a token instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.reauthentication import STATE_SESSION_KEY
from allauth.account.utils import get_next_redirect_url
from allauth.core.exceptions import ReauthenticationRequired
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import SimpleTemplateResponse
from django.urls import resolve, reverse

# Of the fields of a form that waits in the session for the password. The forms have a few short fields.
KEPT_MAX_BYTES = 16 * 1024
KEPT_SECONDS = 600
# The response to htmx: the URL that takes the password; static/js/confirm-password.js opens the dialog.
HEADER = "Confirm-Password"
SENTENCE = "Confirm it's you: enter your password, then try again."


def password_required(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of views for signed-in users: any method needs a recent password."""
    return mark(reauthentication_required(view))


def password_required_to_post(view: Callable[..., Any]) -> Callable[..., Any]:
    """Like password_required, for a view that shows its page without the password."""
    return mark(reauthentication_required(view, enabled=lambda request: request.method == "POST"))


def mark(view: Any) -> Callable[..., Any]:
    view.asks_password = True  # read by tests
    return view


class AskForPassword:
    """Middleware after allauth's: leads a request that needs a recent password to the page or dialog that takes it.

    allauth would keep the whole request in the session, with the cookies in its headers; here only the form is kept,
    and only for the page that it belongs to.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        methods = get_adapter().get_reauthentication_methods(request.user)
        if not isinstance(error, ReauthenticationRequired) or not methods:
            return None
        request.session.pop(STATE_SESSION_KEY, None)  # a form that was left behind is never sent
        url = methods[0]["url"]
        if request.headers.get("HX-Request") == "true":
            headers = {HEADER: url}
            return HttpResponse(
                SENTENCE, status=403, content_type="text/plain; charset=utf-8", headers=headers
            )
        path = request.get_full_path()
        if request.method == "POST":
            form = request.POST.copy()
            form.pop("csrfmiddlewaretoken", None)
            kept = form.urlencode()
            if len(kept) > KEPT_MAX_BYTES:
                return HttpResponse(
                    "The form is too long.", status=413, content_type="text/plain; charset=utf-8"
                )
            request.session[STATE_SESSION_KEY] = {
                "callback": "accounts.reauthentication.send_kept_form",
                "state": {"path": path, "form": kept, "until": time.time() + KEPT_SECONDS},
            }
        return HttpResponseRedirect(f"{url}?{urlencode({'next': path})}")


def send_kept_form(request: HttpRequest, state: dict[str, Any]) -> HttpResponse:
    """Handles the form that waited for the password; allauth calls it. An old one, or another page's, is dropped."""
    path = get_next_redirect_url(request)
    if path != state["path"] or time.time() > state["until"]:
        return HttpResponseRedirect(path or reverse("accounts:account"))
    bare, _, query = state["path"].partition("?")
    request.GET, request.POST = QueryDict(query), QueryDict(state["form"])
    request.path = request.path_info = bare
    request.META |= {"PATH_INFO": bare, "QUERY_STRING": query}
    match = request.resolver_match = resolve(bare)
    response = match.func(request, *match.args, **match.kwargs)
    return response.render() if isinstance(response, SimpleTemplateResponse) else response
