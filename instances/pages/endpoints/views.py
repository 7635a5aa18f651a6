"""The webhook URL of an instance: validated while it is typed, tested, and saved."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.current_user import current_user
from chatapi.ui.requests import HtmxRequest
from instances.actions.settings import change_settings
from instances.pages import access
from instances.pages.endpoints.url_test import try_url
from instances.pages.forms import AddressForm
from instances.pages.overview.button_views import card_response
from instances.pages.overview.views import detail_context
from instances.pages.setup.views import setup_context


@require_POST
@login_required
def save_address(request: HtmxRequest, number: int) -> HttpResponse:
    instance = access.changeable_instance(request, number)
    form = AddressForm(request.POST)
    in_setup = request.POST.get("next") == "setup"
    if not form.is_valid():
        if in_setup:
            return render(
                request,
                "instances/pages/setup/setup.html",
                setup_context(instance, "address", address_form=form),
            )
        return card_response(request, number, "webhook", address_form=form, failed=True)
    url, endpoint = form.cleaned_data["url"], instance.endpoint
    # An unchanged URL stays as its owner typed it: the page shows it as it is requested.
    wanted = {"webhookUrl": endpoint.shown_url if url and url == endpoint.url else url or None}
    changed = change_settings(instance, changes=wanted, acting_user=current_user(request))
    if in_setup:
        return redirect("instances:setup", number)
    return card_response(request, number, "webhook", saved="changed" if changed else "same")


@require_POST
@login_required
def check_address(request: HtmxRequest, number: int) -> HttpResponse:
    """Validates the URL that is being typed; saves nothing."""
    instance = access.changeable_instance(request, number)
    form = AddressForm(request.POST)
    typed = "good"
    if form.is_valid():
        url = form.cleaned_data["url"]
        typed = "same" if url == instance.endpoint.url else "good" if url else "empty"
    context = {"address_form": form, "endpoint": instance.endpoint, "typed": typed}
    return render(request, "instances/pages/endpoints/url_message.html", context)


@require_POST
@login_required
def try_address(request: HtmxRequest, number: int) -> HttpResponse:
    """Sends one simulated message to the URL in the field, saved or not. Waits up to 10 s for a response."""
    instance = access.changeable_instance(request, number)
    form = AddressForm(request.POST)
    context = {"address_form": form} | try_url(instance, instance.endpoint, form, request.user)
    if request.htmx:
        return render(request, "instances/pages/endpoints/url_test.html", context)
    return render(request, "instances/pages/overview/overview.html", detail_context(instance, **context))
