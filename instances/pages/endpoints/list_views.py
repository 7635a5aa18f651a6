"""The endpoints of an instance as cards, and the form that adds one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.current_user import current_user
from hooks.actions.endpoint_list import add_endpoint
from hooks.actions.hooks import NotPossible
from hooks.models import MAX_ENDPOINTS
from instances.models import Instance
from instances.pages import access
from instances.pages.endpoints.cards import cards_of, endpoints_of
from instances.pages.endpoints.forms import NewEndpointForm

PAGE = "instances/pages/endpoints/list.html"


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def endpoint_list(request: HttpRequest, number: int) -> HttpResponse:
    """The cards; a POST adds an endpoint and redirects to its page, where its filters are set."""
    if request.method != "POST":
        return render(request, PAGE, list_context(access.visible_instance(request, number)))
    instance = access.changeable_instance(request, number)
    form = NewEndpointForm(request.POST)
    if form.is_valid():
        try:
            added = add_endpoint(instance.pk, **form.cleaned_data, acting_user=current_user(request))
        except NotPossible as reached:
            form.add_error(None, str(reached))
        else:
            messages.success(
                request, "The endpoint was added. It gets all events until you choose its filters below."
            )
            return redirect("instances:endpoint", number, added.pk)
    return render(request, PAGE, list_context(instance, form=form))


def list_context(instance: Instance, **overrides: Any) -> dict[str, Any]:
    endpoints = endpoints_of(instance)
    return {
        "instance": instance,
        "cards": cards_of(endpoints, instance.number),
        "endpoints_max": MAX_ENDPOINTS,
        "is_full": len(endpoints) >= MAX_ENDPOINTS,
        "form": NewEndpointForm(),
    } | overrides
