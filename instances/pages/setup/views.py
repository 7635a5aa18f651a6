"""The front door, and the way to a new instance: channel, then link, address and test message, one step a page."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.current_user import current_user
from hooks.models import Hook
from instances.actions.lifecycle import create_instance
from instances.models import Channel, Instance
from instances.pages.access import visible_instance
from instances.pages.forms import AddressForm, NewInstanceForm
from instances.pages.overview.views import status_context

# in their order, behind the choice of the channel, which makes the instance
STEPS = {"link": "Link", "address": "Address", "test": "Test message"}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The site's root: redirects signed-in users to their instances, others to the sign-in page."""
    return redirect("instances:list" if request.user.is_authenticated else "account_login")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new(request: HttpRequest) -> HttpResponse:
    """The first step; a POST makes the instance and leads to the second."""
    form = NewInstanceForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        instance = create_instance(
            form.chosen_account(),
            name=form.cleaned_data["name"],
            channel=form.cleaned_data["channel"],
            acting_user=current_user(request),
        )
        return redirect("instances:setup", instance.number)
    context = {"form": form, "channels": Channel, "steps": STEPS.items(), "step": "channel"}
    return render(request, "instances/pages/setup/new.html", context)


def setup_context(instance: Instance, step: str = "", **more: Any) -> dict[str, Any]:
    """The step that is asked for, else the first that is not done; `more` overrides."""
    done = {
        "link": instance.is_authenticated,
        "address": bool(instance.endpoint.url),
        "test": Hook.objects.filter(endpoint_id=instance.pk, simulated=True).exists(),
    }
    first = next((name for name, is_done in done.items() if not is_done), "test")
    return (
        status_context(instance)
        | {
            "endpoint": instance.endpoint,
            "address_form": AddressForm(initial={"url": instance.endpoint.url}),
            "steps": STEPS.items(),
            "done": {name for name, is_done in done.items() if is_done},
            "step": step if step in STEPS else first,
        }
        | more
    )


@require_safe
@login_required
def setup(request: HttpRequest, number: int) -> HttpResponse:
    """`?step=` of STEPS; the first step polls (`?wait=`) and gets 204 until the phone is linked or the code changes."""
    instance = visible_instance(request, number)
    context = setup_context(instance, request.GET.get("step", ""))
    waits = request.GET.get("wait")
    if waits is None:
        return render(request, "instances/pages/setup/setup.html", context)
    if waits == context["status"].cursor:
        return HttpResponse(status=204)
    if instance.is_authenticated:
        return HttpResponse(headers={"HX-Redirect": request.path})
    return render(request, "instances/pages/setup/setup.html#link_step", context)
