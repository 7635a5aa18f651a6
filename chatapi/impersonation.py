"""Puts an account's owner in the place of the staff who looks at it, and sees to it that nothing but looking happens.

Every read of the pages starts from `visible_to(request.user)`, so they show what the owner would see. Nothing may be
changed (403), what is the person's alone stays closed, no file is handed out, and tokens and signing secrets are
blotted out of whatever is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from accounts import impersonation
from accounts.models import User
from chatapi.logging_config import without_secrets
from instances.models import Instance

SAFE = ("GET", "HEAD")
AS_STAFF = ("/admin/", "/accounts/logout/", "/static/", "/healthz", "/readyz", "/metrics")
# password, second factor, recovery codes, sessions, all of one's data: the person's alone
CLOSED = ("/accounts/", "/account/export/", "/account/delete/")
READABLE = ("text/", "application/json", "application/vnd.oai")
BLOT = "•" * 12
SECRET = re.compile(rb"(whsec_|uid_)[A-Za-z0-9+/=%]{20,}")
MAYBE_TOKEN = re.compile(rb"[A-Za-z0-9]{16,64}")

READ_ONLY = "You are viewing another user's account: nothing can be changed, sent or created here."
NOT_YOURS = "This page is the person's alone: it is not shown to who looks at the account."
NO_FILES = "Files and exports are not handed out to who looks at an account."


def look_at_account(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware after the sign-in."""

    def middleware(request: HttpRequest) -> HttpResponse:
        look = impersonation.current(request)
        if look is None:
            return get_response(request)
        if look.until <= timezone.now():
            impersonation.end(request, look)
            messages.info(request, f"The look at {look.account} has ended: it lasts half an hour at most.")
            return redirect("admin:accounts_account_change", look.account.pk)
        request.look = look  # type: ignore[attr-defined]
        if request.path.startswith(AS_STAFF):
            return get_response(request)
        if request.method not in SAFE:
            return refuse(request, look, READ_ONLY)
        if request.path.startswith(CLOSED):
            return refuse(request, look, NOT_YOURS)
        owner = look.account.owner
        owner.is_looked_at = True  # type: ignore[attr-defined]  # it may change nothing: Account.objects.changeable_by
        request.user = owner
        response = get_response(request)
        if response.streaming or "attachment" in response.headers.get("Content-Disposition", ""):
            response.close()
            return refuse(request, look, NO_FILES)
        blot_out(response, owner)
        if response.status_code == 200 and not request.headers.get("HX-Request"):
            impersonation.note_page(look, without_secrets(request.get_full_path()))
        return response

    return middleware


def refuse(request: HttpRequest, look: impersonation.Look, sentence: str) -> HttpResponse:
    request.user = look.staff
    leave = reverse("admin:leave_look")
    return render(
        request,
        "chatapi/staff/refused.html",
        {"sentence": sentence, "look": look, "leave": leave},
        status=403,
    )


def blot_out(response: HttpResponse, owner: User) -> None:
    """Take every token and secret that this person could see out of the answer. What is no text stays as it is."""
    if not response.headers.get("Content-Type", "").startswith(READABLE):
        return
    shown = SECRET.sub(rb"\1" + BLOT.encode(), response.content)
    maybe = {word.decode() for word in MAYBE_TOKEN.findall(shown)}
    visible = Instance.objects.visible_to(owner).order_by()
    for token in visible.filter(token__in=maybe).values_list("token", flat=True):
        shown = shown.replace(token.encode(), BLOT.encode())
    response.content = shown
