"""The page of an account's keys: list, create, rotate and revoke. The text of a key is in one response, once."""

from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actions import keys
from accounts.forms import NewKeyForm, RotateKeyForm
from accounts.models import Account, AccountKey, Scope
from accounts.reauthentication import password_required, password_required_to_post
from accounts.views.account import own_account

# Ended keys stay on the page for a while, so that it says why a program is refused.
ENDED_SHOWN_FOR = timedelta(days=30)
SHOWN = 200
SENT_FORMS = "sent_key_forms"  # in the session: the last forms that have created a key
MAX_SENT_FORMS = 20


def own_key(account: Account, prefix: str) -> AccountKey:
    """Returns the account's key that begins like this, with its account; 404 without one."""
    return get_object_or_404(
        AccountKey.objects.select_related("account__owner"), account=account, prefix=prefix
    )


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@password_required_to_post
@never_cache
def key_list(request: HttpRequest) -> HttpResponse:
    """Shows the keys. POST creates one and responds with its text: to htmx for the dialog, else as a page."""
    own = own_account(request)
    form = NewKeyForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        if not is_first(request, form.cleaned_data["form_id"]):
            messages.info(
                request,
                "This key was created already, and a key is shown once. Rotate it to get another one.",
            )
            return redirect_to_keys(request)
        try:
            key, plaintext = keys.issue_key(
                own,
                name=form.cleaned_data["name"],
                scopes=form.scopes,
                expires_at=form.expires_at(timezone.now()),
                acting_user=own.owner,
            )
            remember(request, form.cleaned_data["form_id"])
            return show_once(request, key, plaintext)
        except keys.NotPossible as error:
            form.add_error(None, str(error))
    status = 422 if form.is_bound else 200
    if form.is_bound and request.headers.get("HX-Request"):
        return render(request, "accounts/key_form.html", {"form": form}, status=status)
    return render(request, "accounts/keys.html", page_context(own, form), status=status)


def redirect_to_keys(request: HttpRequest) -> HttpResponse:
    """Redirects the page, also if htmx asked for a part of it."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": reverse("accounts:keys")})
    return redirect("accounts:keys")


def is_first(request: HttpRequest, form_id: str) -> bool:
    """Returns whether this session has not created a key with this form yet: a reload sends it again."""
    return not form_id or form_id not in request.session.get(SENT_FORMS, [])


def remember(request: HttpRequest, form_id: str) -> None:
    request.session[SENT_FORMS] = [*request.session.get(SENT_FORMS, []), form_id][-MAX_SENT_FORMS:]


def page_context(account: Account, form: NewKeyForm) -> dict[str, object]:
    rows = AccountKey.objects.of_page(account, ended_after=timezone.now() - ENDED_SHOWN_FOR)[:SHOWN]
    return {"account": account, "keys": rows, "form": form, "rotation": RotateKeyForm()}


def show_once(
    request: HttpRequest, key: AccountKey, plaintext: str, replaced: AccountKey | None = None
) -> HttpResponse:
    """Responds with the text of a new key, and a command that tries it."""
    path = "account" if Scope.READ in key.scopes else "keys" if Scope.MANAGE in key.scopes else ""
    curl = f"curl -H 'Authorization: Bearer {{key}}' {settings.SITE_URL}/api/v1/{path}/" if path else ""
    context = {
        "key": key,
        "plaintext": plaintext,
        "replaced": replaced,
        "curl_shown": curl.format(key=f"{key.prefix}…"),
        "curl": curl.format(key=plaintext),
    }
    is_dialog = request.headers.get("HX-Request") == "true"
    return render(request, "accounts/key_shown.html" if is_dialog else "accounts/key.html", context)


@require_POST
@login_required
@password_required
@never_cache
def rotate(request: HttpRequest, prefix: str) -> HttpResponse:
    own = own_account(request)
    old, form = own_key(own, prefix), RotateKeyForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose how long the old value stays valid.")
        return redirect("accounts:keys")
    try:
        key, plaintext = keys.rotate_key(old, overlap=form.overlap, acting_user=own.owner)
    except keys.NotPossible as error:
        if request.headers.get("HX-Request"):
            return render(request, "accounts/key_refused.html", {"error": str(error)})
        messages.error(request, str(error))
        return redirect("accounts:keys")
    old.refresh_from_db()
    return show_once(request, key, plaintext, replaced=old)


@require_POST
@login_required
def revoke(request: HttpRequest, prefix: str) -> HttpResponse:
    own = own_account(request)
    key = own_key(own, prefix)
    keys.revoke_key(key, acting_user=own.owner)
    messages.success(request, f"The key {key.name} is revoked.")
    return redirect("accounts:keys")
