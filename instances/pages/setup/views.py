"""The site's root, and the setup of a new instance: channel, link, webhook URL, test message; one step per page."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from accounts.actions.first_administrator import has_no_user
from accounts.current_user import current_user
from accounts.models import User
from accounts.quotas import QuotaExceeded
from hooks.models import Hook
from instances.actions.lifecycle import create_instance
from instances.actions.settings import change_settings
from instances.actions.status import expire_code
from instances.channels import channel_of
from instances.channels.base import Can
from instances.models import AccountStatus, Instance
from instances.pages.access import visible_instance
from instances.pages.forms import AddressForm, NewInstanceForm
from instances.pages.overview.views import code_context
from instances.pages.setup.account import account_card
from instances.pages.setup.channel_cards import channel_cards
from instances.pages.status_texts import describe

# The steps after the first one, which creates the instance and chooses its channel.
STEPS = {"link": "Link", "address": "Webhook URL", "test": "Test message"}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The site's root: redirects signed-in users to their instances, others to the sign-in page.

    On a site without users it leads to the page that says how to create the first one.
    """
    if request.user.is_authenticated:
        return redirect("instances:list")
    return redirect("accounts:first-administrator" if has_no_user() else "account_login")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new(request: HttpRequest) -> HttpResponse:
    """The first step; a POST creates the instance and redirects to the second, or with a webhook URL to its test."""
    form = NewInstanceForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            instance = create(form, current_user(request))
        except QuotaExceeded as reached:
            form.add_error(None, str(reached))
        else:
            setup_url = reverse("instances:setup", args=(instance.number,))
            return redirect(f"{setup_url}?step=test" if form.cleaned_data["url"] else setup_url)
    context = {"form": form, "channels": channel_cards(), "steps": STEPS.items(), "step": "channel"}
    return render(request, "instances/pages/setup/new.html", context)


@transaction.atomic
def create(form: NewInstanceForm, user: User) -> Instance:
    """Creates the instance of a valid form. Raises QuotaExceeded."""
    instance = create_instance(
        form.chosen_account(),
        name=form.cleaned_data["name"],
        channel=form.cleaned_data["channel"],
        acting_user=user,
    )
    if form.cleaned_data["url"]:
        change_settings(instance, changes={"webhookUrl": form.cleaned_data["url"]}, acting_user=user)
    return instance


def waits_for_scan(instance: Instance) -> bool:
    """Whether the messenger shows, or is about to show, a code: the step continues by itself."""
    has_code = Can.SCAN not in channel_of(instance).cannot
    return has_code and instance.account_status in (AccountStatus.LOADING, AccountStatus.GOT_QR_CODE)


def setup_context(instance: Instance, step: str = "", **overrides: Any) -> dict[str, Any]:
    """Returns the context of a step; without `step`, of the first one that is not done."""
    done = {
        "link": instance.is_authenticated,
        "address": bool(instance.endpoint.url),
        "test": Hook.objects.of_first_endpoint(instance.pk).filter(simulated=True).exists(),
    }
    first = next((name for name, is_done in done.items() if not is_done), "test")
    return (
        code_context(instance)
        | {
            "account": account_card(instance),
            "waits_for_scan": waits_for_scan(instance),
            "endpoint": instance.endpoint,
            "address_form": AddressForm(initial={"url": instance.endpoint.url}),
            "steps": STEPS.items(),
            "done": {name for name, is_done in done.items() if is_done},
            "step": step if step in STEPS else first,
        }
        | overrides
    )


@require_safe
@login_required
def setup(request: HttpRequest, number: int) -> HttpResponse:
    """`?step=` of STEPS; the first step polls (`?wait=`) and gets 204 until the phone is linked or the code changes."""
    instance = visible_instance(request, number)
    cursor = request.GET.get("wait")
    if cursor is not None:
        if instance.is_code_outdated:
            expire_code(instance)
        if cursor == describe(instance).cursor:
            return HttpResponse(status=204)  # without asking the messenger for its code
    context = setup_context(instance, request.GET.get("step", ""))
    if cursor is None:
        return render(request, "instances/pages/setup/setup.html", context)
    if instance.is_authenticated:
        return HttpResponse(headers={"HX-Redirect": request.path})
    return render(request, "instances/pages/setup/setup.html#link_step", context)
