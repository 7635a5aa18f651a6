"""Redirects to a URL that a form or a query names."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme

MAX_URL = 2_000  # characters; it becomes a header


def redirect_back(request: HttpRequest, default: str, *arguments: str | int) -> HttpResponse:
    """Redirects to the page of this site that the form's `next` names, otherwise to the URL named `default`.

    Only a path is accepted: `redirect()` would take other texts for the name of a URL, and fail.
    """
    back = request.POST.get("next", "")
    allowed = (
        back.startswith("/")
        and len(back) <= MAX_URL
        and url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    )
    return HttpResponseRedirect(back) if allowed else redirect(default, *arguments)
