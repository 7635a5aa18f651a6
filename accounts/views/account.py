"""The account page: who one is, the account key, what was paid, where one is a member, and the ways out."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.actions import accounts as account_actions
from accounts.actions.accounts import rename_account, show_first_steps
from accounts.forms import AccountNameForm
from accounts.models import Account, AccountKey, Member, Payment, User

# The newest so many payments stand on the page.
PAYMENTS_SHOWN = 100


def own_account(request: HttpRequest) -> Account:
    """The account of whoever is signed in; what members do with it is never done here."""
    return get_object_or_404(Account.objects.owned_by(request.user).select_related("owner"))


def live_keys(account: Account) -> list[AccountKey]:
    return list(AccountKey.objects.filter(account=account, revoked_at=None).order_by("-created_at"))


@require_safe
@login_required
def account(request: HttpRequest) -> HttpResponse:
    own = own_account(request)
    payments = Payment.objects.visible_to(request.user).select_related("instance").order_by("-paid_at", "-id")
    context = {
        "account": own,
        "keys": live_keys(own),
        "payments": payments[:PAYMENTS_SHOWN],
        "members_count": own.members.count(),
        "memberships": Member.objects.filter(user_id=own.owner_id)
        .select_related("account__owner")
        .order_by("pk"),
        "name_form": AccountNameForm(initial={"name": own.name}),
    }
    return render(request, "accounts/account.html", context)


@require_POST
@login_required
def rename(request: HttpRequest) -> HttpResponse:
    own = own_account(request)
    form = AccountNameForm(request.POST)
    if form.is_valid():
        rename_account(own, form.cleaned_data["name"], acting_user=own.owner)
        messages.success(request, "The name is saved.")
    else:
        messages.error(request, "The name was not saved: it takes at most 100 characters.")
    return redirect("accounts:account")


@require_POST
@login_required
@never_cache
def rotate_key(request: HttpRequest) -> HttpResponse:
    """Answers with the new key itself, in this one answer and never again; nothing keeps its text."""
    own = own_account(request)
    key, plaintext = account_actions.rotate_key(own, acting_user=own.owner)
    return render(request, "accounts/key.html", {"key": key, "plaintext": plaintext})


@require_POST
@login_required
def first_steps(request: HttpRequest) -> HttpResponse:
    """Puts the checklist away (`shown=`), or gets it back (`shown=yes`); back to the page it was pressed on."""
    shown = request.POST.get("shown") == "yes"
    show_first_steps(person(request), shown, acting_user=person(request))
    if shown:
        messages.success(
            request,
            "The first steps are shown again until an instance is through with them.",
        )
    else:
        messages.info(request, "The first steps are dismissed. You can show them again on your account page.")
    back = request.POST.get("next", "")
    allowed = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return redirect(back if allowed else "accounts:account")


def person(request: HttpRequest) -> User:
    """Whoever is signed in, after @login_required, as the type that actions take."""
    assert isinstance(request.user, User)
    return request.user
