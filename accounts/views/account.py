"""The account page: name, payments, memberships, export and deletion, and links to the other pages."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts import quotas
from accounts.account_pages import ACCOUNT_PAGES
from accounts.actions import users
from accounts.actions.accounts import rename_account
from accounts.current_user import current_user
from accounts.forms import AccountNameForm, TimeZoneForm
from accounts.models import Account, AccountKey, Member, Payment
from chatapi.ui.redirects import redirect_back

# The page shows the newest payments, up to this number.
PAYMENTS_SHOWN = 100


def own_account(request: HttpRequest) -> Account:
    """Returns the signed-in user's own account and its owner; 404 without one. Members cannot access these pages."""
    return get_object_or_404(Account.objects.owned_by(request.user).select_related("owner"))


@require_safe
@login_required
def account(request: HttpRequest) -> HttpResponse:
    own = own_account(request)
    payments = Payment.objects.visible_to(request.user).select_related("instance").order_by("-paid_at", "-id")
    counts = {
        "accounts:members": own.members.count(),
        "accounts:keys": AccountKey.objects.filter(account=own).live().count(),
    }
    context = {
        "account": own,
        "pages": [(page, counts.get(page.url_name, 0)) for page in ACCOUNT_PAGES],
        "usage": quotas.usage_of(own),
        "payments": payments[:PAYMENTS_SHOWN],
        "memberships": Member.objects.filter(user_id=own.owner_id)
        .select_related("account__owner")
        .order_by("pk"),
        "name_form": AccountNameForm(initial={"name": own.name}),
        "time_zone_form": TimeZoneForm(initial={"time_zone": own.owner.time_zone}),
    }
    return render(request, "accounts/account.html", context)


@require_POST
@login_required
def rename(request: HttpRequest) -> HttpResponse:
    own = own_account(request)
    form = AccountNameForm(request.POST)
    if form.is_valid():
        rename_account(own, name=form.cleaned_data["name"], acting_user=own.owner)
        messages.success(request, "Saved.")
    else:
        messages.error(request, "The name can have at most 100 characters.")
    return redirect("accounts:account")


@require_POST
@login_required
def set_time_zone(request: HttpRequest) -> HttpResponse:
    form = TimeZoneForm(request.POST)
    if form.is_valid():
        users.set_time_zone(current_user(request), time_zone=form.cleaned_data["time_zone"])
        messages.success(request, "Saved.")
    else:
        messages.error(request, str(form.errors["time_zone"][0]))
    return redirect("accounts:account")


@require_POST
@login_required
def show_first_steps(request: HttpRequest) -> HttpResponse:
    """Dismisses the checklist (`shown=`) or shows it again (`shown=yes`); redirects to the page of the button."""
    shown = request.POST.get("shown") == "yes"
    user = current_user(request)
    users.show_first_steps(user, shown=shown)
    if shown:
        messages.success(request, "The first steps are shown until an instance has completed them.")
    else:
        messages.info(request, "The first steps are dismissed. You can show them again on your account page.")
    return redirect_back(request, "accounts:account")
