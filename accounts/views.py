"""The account page: who one is, the account key, what was paid."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import actions
from accounts.models import Account, AccountKey, Payment

# The newest so many payments stand on the page.
PAYMENTS_SHOWN = 100


def own_account(request: HttpRequest) -> Account:
    """The account of whoever is signed in."""
    return get_object_or_404(Account.objects.visible_to(request.user))


def live_keys(account: Account) -> list[AccountKey]:
    return list(AccountKey.objects.filter(account=account, revoked_at=None).order_by("-created_at"))


@require_safe
@login_required
def account(request: HttpRequest) -> HttpResponse:
    own = own_account(request)
    payments = Payment.objects.visible_to(request.user).select_related("instance").order_by("-paid_at", "-id")
    return render(
        request,
        "accounts/account.html",
        {"account": own, "keys": live_keys(own), "payments": payments[:PAYMENTS_SHOWN]},
    )


@require_POST
@login_required
@never_cache
def rotate_key(request: HttpRequest) -> HttpResponse:
    """Answers with the new key itself, in this one answer and never again; nothing keeps its text."""
    own = own_account(request)
    key, plaintext = actions.rotate_key(own, actor=own.owner)
    return render(request, "accounts/key.html", {"key": key, "plaintext": plaintext})
