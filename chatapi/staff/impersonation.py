"""Middleware of impersonation: sets `request.user` to the owner of the account that staff view, read-only.

Every read of the pages starts from `visible_to(request.user)`, so they show what the owner sees. Changes get 403,
personal pages and files are refused, and tokens and signing secrets are masked in every response. Without the
permission to read bodies, so are the contents of messages, hooks and captures (hooks/body_masking.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from accounts import impersonation
from accounts.models import User
from chatapi.encryption.cipher import token_digest
from chatapi.monitoring.logging_config import without_secrets
from chatapi.staff.desk.links import customer_url
from hooks.body_masking import masked_bodies
from instances.models import Instance

SAFE_METHODS = ("GET", "HEAD")
# pages where the user stays the staff member
STAFF_PATHS = ("/admin/", "/accounts/logout/", "/static/", "/healthz", "/readyz", "/metrics")
# personal pages: password, second factor, recovery codes, sessions, export and deletion
PERSONAL_PATHS = ("/accounts/", "/account/export/", "/account/delete/")
TEXT_TYPES = ("text/", "application/json", "application/vnd.oai")
MASK = "•" * 12
SECRET = re.compile(rb"(whsec_|uid_)[A-Za-z0-9+/=%]{20,}")
LINK = re.compile(r"^(/(?:shared/hooks|shared|invite|media)/)[^/?]+")  # the rest opens it without signing in
TOKEN_CANDIDATE = re.compile(rb"[A-Za-z0-9]{16,64}")

READ_ONLY = "You are viewing another user's account: nothing can be changed, sent or created here."
PERSONAL = "This page is personal: staff who view the account cannot open it."
NO_FILES = "Files and exports cannot be downloaded while you view an account."


def impersonate(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware after authentication. An expired impersonation ends with the next request."""

    def middleware(request: HttpRequest) -> HttpResponse:
        viewing = impersonation.current_impersonation(request)
        if viewing is None:
            return get_response(request)
        if viewing.until <= timezone.now():
            impersonation.end(request, viewing)
            messages.info(request, f"You no longer view {viewing.account}: half an hour has passed.")
            return redirect(customer_url(viewing.account.pk))
        request.impersonation = viewing  # type: ignore[attr-defined]
        if request.path.startswith(STAFF_PATHS):
            return get_response(request)
        if request.method not in SAFE_METHODS:
            return refuse(request, viewing, READ_ONLY)
        if request.path.startswith(PERSONAL_PATHS):
            return refuse(request, viewing, PERSONAL)
        owner = viewing.account.owner
        owner.is_impersonated = True  # type: ignore[attr-defined]  # read by Account.objects.changeable_by
        request.user = owner
        with masked_bodies() if viewing.bodies_are_masked else nullcontext():
            response = get_response(request)
        if response.streaming or "attachment" in response.headers.get("Content-Disposition", ""):
            response.close()
            return refuse(request, viewing, NO_FILES)
        mask_secrets(response, owner)
        if response.status_code == 200 and not request.headers.get("HX-Request"):
            impersonation.record_page(viewing, recorded_path(request.get_full_path()))
        return response

    return middleware


def recorded_path(path: str) -> str:
    """Returns the path for the audit log: without tokens in its query, and without the token that is a link's path."""
    return LINK.sub(r"\1…", without_secrets(path))


def refuse(request: HttpRequest, viewing: impersonation.Impersonation, sentence: str) -> HttpResponse:
    request.user = viewing.staff
    if request.headers.get("HX-Request"):  # the reason, which the page shows
        return HttpResponse(sentence, status=403, content_type="text/plain; charset=utf-8")
    leave = reverse("admin:end_impersonation")
    return render(
        request,
        "chatapi/staff/refused.html",
        {"sentence": sentence, "impersonation": viewing, "leave": leave},
        status=403,
    )


def mask_secrets(response: HttpResponse, owner: User) -> None:
    """Mask tokens and secrets that the owner could see in a text response; other responses are unchanged."""
    if not response.headers.get("Content-Type", "").startswith(TEXT_TYPES):
        return
    shown = SECRET.sub(rb"\1" + MASK.encode(), response.content)
    by_digest = {token_digest(word.decode()): word for word in set(TOKEN_CANDIDATE.findall(shown))}
    visible = Instance.objects.visible_to(owner).order_by()
    for digest in visible.filter(token_digest__in=by_digest).values_list("token_digest", flat=True):
        shown = shown.replace(by_digest[digest], MASK.encode())
    response.content = shown
