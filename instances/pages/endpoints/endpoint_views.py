"""One endpoint: its settings, filters, signing secret and health, and its buttons.

Each button responds to htmx with its card, and otherwise with a redirect to the page: reloading repeats nothing.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.current_user import current_user
from accounts.reauthentication import password_required
from chatapi.ui.redirects import redirect_back
from chatapi.ui.requests import HtmxRequest
from hooks.actions import endpoints as endpoint_actions
from hooks.actions.endpoint_list import remove_endpoint
from hooks.actions.hooks import NotPossible
from hooks.filters import filters_of
from hooks.log.counts import Count
from hooks.log.endpoint_health import health_of
from hooks.log.holds import recent_holds
from hooks.models import GUARANTEED_ATTEMPTS, Endpoint
from instances.endpoint_filters import describe_filters
from instances.models import Instance
from instances.pages import access
from instances.pages.endpoints.cards import (
    endpoints_of,
    failing_words,
    mode_words,
    names_of,
    state_of,
    test_id,
)
from instances.pages.endpoints.filter_form import FilterForm
from instances.pages.endpoints.forms import EndpointForm
from instances.pages.endpoints.forwarding import commands, listening_of
from instances.pages.endpoints.url_test import try_url
from instances.pages.forms import AddressForm
from instances.pages.log.hold_texts import recent_words
from instances.pages.overview.signature_snippets import SNIPPETS
from instances.pages.settings.flag_texts import HOURS_OF_ATTEMPTS

PAGE = "instances/pages/endpoints/endpoint.html"
CARDS = {
    "settings": "instances/pages/endpoints/endpoint_settings.html",
    "filters": "instances/pages/endpoints/endpoint_filters.html",
    "secret": "instances/pages/endpoints/secret.html",
}


def visible_endpoint(instance: Instance, endpoint_id: int) -> Endpoint:
    """The endpoint with its instance. Raises Http404 if the instance does not have it, or it was removed."""
    for endpoint in endpoints_of(instance):
        if endpoint.pk == endpoint_id:
            return endpoint
    raise Http404("No such endpoint.")


def endpoint_context(instance: Instance, endpoint_id: int, **more: Any) -> dict[str, Any]:
    """What the page and each of its cards show; `more` overrides. Raises Http404 as visible_endpoint() does."""
    endpoints, now = endpoints_of(instance), timezone.now()
    endpoint = next((endpoint for endpoint in endpoints if endpoint.pk == endpoint_id), None)
    if endpoint is None:
        raise Http404("No such endpoint.")
    health = health_of([endpoint_id])
    return {
        "instance": instance,
        "endpoint": endpoint,
        "name": names_of(endpoints)[endpoint_id],
        "state": state_of(endpoint, now),
        "failing_for": failing_words(endpoint, now),
        "mode": mode_words(endpoint),
        "summary": describe_filters(endpoint),
        "form": EndpointForm(endpoint=endpoint),
        "filter_form": FilterForm.of(endpoint),
        "health": health,
        "listening": listening_of(endpoint, health.numbers.waiting, now),
        "forward": commands(instance, endpoint) if endpoint.is_listener else [],
        "holds": recent_words(recent_holds(endpoint)),
        "remove_text": remove_words(health.numbers.waiting),
        "attempts": GUARANTEED_ATTEMPTS,
        "hours": HOURS_OF_ATTEMPTS,
        "signing_secret": access.credentials_of(instance, endpoint).signing_secret,
        "old_secret_until": endpoint.previous_secret_until if len(endpoint.valid_secrets(now)) > 1 else None,
        "rotate_url": reverse("instances:endpoint-secret", args=(instance.number, endpoint_id)),
        "end_url": reverse("instances:endpoint-secret-end", args=(instance.number, endpoint_id)),
        "snippets": SNIPPETS,
        "test_id": test_id(endpoint),
    } | more


def remove_words(waiting: Count) -> str:
    """Returns what happens when an endpoint with this many waiting hooks is removed."""
    if waiting:
        hooks = "hook is" if waiting == 1 else "hooks are"
        cancelled = f"Its {waiting.words} waiting {hooks} cancelled and not sent."
    else:
        cancelled = "It has no waiting hooks; any that arrive until then are cancelled."
    return f"{cancelled} Its hooks stay in the log until they are too old. Other endpoints are not affected."


def card_response(
    request: HtmxRequest, number: int, endpoint_id: int, card: str, **more: Any
) -> HttpResponse:
    """A card of CARDS as saved; without htmx a redirect to the page, or the page itself after an error."""
    if not request.htmx and not more.get("failed"):
        return redirect("instances:endpoint", number, endpoint_id)
    fresh = access.visible_instance(request, number)  # read again: the card shows what was saved
    context = endpoint_context(fresh, endpoint_id, **more)
    return render(request, CARDS[card] if request.htmx else PAGE, context)


@require_safe
@login_required
def detail(request: HttpRequest, number: int, endpoint_id: int) -> HttpResponse:
    return render(request, PAGE, endpoint_context(access.visible_instance(request, number), endpoint_id))


@require_POST
@login_required
def save(request: HtmxRequest, number: int, endpoint_id: int) -> HttpResponse:
    """Saves the name, the URL and the delivery mode."""
    endpoint = visible_endpoint(access.changeable_instance(request, number), endpoint_id)
    form = EndpointForm(request.POST, endpoint=endpoint)
    if not form.is_valid():
        return card_response(request, number, endpoint_id, "settings", form=form, failed=True)
    changed = endpoint_actions.change_endpoint(endpoint, **form.wanted(), acting_user=current_user(request))
    return card_response(request, number, endpoint_id, "settings", saved="changed" if changed else "same")


@require_POST
@login_required
def save_filters(request: HtmxRequest, number: int, endpoint_id: int) -> HttpResponse:
    endpoint = visible_endpoint(access.changeable_instance(request, number), endpoint_id)
    form = FilterForm(request.POST)
    if not form.is_valid():
        return card_response(request, number, endpoint_id, "filters", filter_form=form, failed=True)
    changed = endpoint_actions.set_filters(endpoint, filters=form.wanted(), acting_user=current_user(request))
    return card_response(request, number, endpoint_id, "filters", saved="changed" if changed else "same")


@require_POST
@login_required
def check_filters(request: HtmxRequest, number: int, endpoint_id: int) -> HttpResponse:
    """What the chosen filters let through, in words; saves nothing."""
    instance = access.changeable_instance(request, number)
    endpoint = visible_endpoint(instance, endpoint_id)
    form = FilterForm(request.POST)
    context: dict[str, Any] = {"instance": instance, "endpoint": endpoint, "filter_form": form}
    if form.is_valid():
        context["is_unsaved"] = form.wanted() != filters_of(endpoint)
        context["summary"] = describe_filters(form.wanted())
    return render(request, "instances/pages/endpoints/filter_summary.html", context)


@require_POST
@login_required
def test(request: HtmxRequest, number: int, endpoint_id: int) -> HttpResponse:
    """Sends one simulated message to the URL in the field, or without a field to the saved one."""
    instance = access.changeable_instance(request, number)
    endpoint = visible_endpoint(instance, endpoint_id)
    form = AddressForm(request.POST if "url" in request.POST else {"url": endpoint.url})
    context = try_url(instance, endpoint, form, request.user)
    if request.htmx:
        context["test_id"] = test_id(endpoint)
        return render(request, "instances/pages/endpoints/url_test.html", context)
    return render(request, PAGE, endpoint_context(instance, endpoint_id, **context))


@require_POST
@login_required
def pause(request: HttpRequest, number: int, endpoint_id: int) -> HttpResponse:
    endpoint = visible_endpoint(access.changeable_instance(request, number), endpoint_id)
    endpoint_actions.pause(endpoint, acting_user=current_user(request))
    return redirect_back(request, "instances:endpoint", number, endpoint_id)


@require_POST
@login_required
def resume(request: HttpRequest, number: int, endpoint_id: int) -> HttpResponse:
    endpoint = visible_endpoint(access.changeable_instance(request, number), endpoint_id)
    if endpoint.paused_at is not None:
        endpoint_actions.resume(endpoint, acting_user=current_user(request))
        messages.success(request, "Delivery is resumed: one hook per second at first, then faster.")
    return redirect_back(request, "instances:endpoint", number, endpoint_id)


@require_POST
@login_required
@password_required
def rotate_secret(request: HtmxRequest, number: int, endpoint_id: int) -> HttpResponse:
    endpoint = visible_endpoint(access.changeable_instance(request, number), endpoint_id)
    endpoint_actions.rotate_secret(endpoint, acting_user=current_user(request))
    return card_response(request, number, endpoint_id, "secret", secret_change="rotated")


@require_POST
@login_required
@password_required
def end_previous_secret(request: HtmxRequest, number: int, endpoint_id: int) -> HttpResponse:
    endpoint = visible_endpoint(access.changeable_instance(request, number), endpoint_id)
    endpoint_actions.end_previous_secret(endpoint, acting_user=current_user(request))
    return card_response(request, number, endpoint_id, "secret", secret_change="ended")


@require_POST
@login_required
def remove(request: HttpRequest, number: int, endpoint_id: int) -> HttpResponse:
    """Removes an endpoint that is not the first. Its waiting hooks are cancelled."""
    endpoint = visible_endpoint(access.changeable_instance(request, number), endpoint_id)
    name = names_of(endpoints_of(endpoint.instance))[endpoint.pk]
    try:
        remove_endpoint(endpoint, acting_user=current_user(request))
    except NotPossible as reason:  # the first endpoint
        messages.error(request, str(reason))
        return redirect("instances:endpoint", number, endpoint_id)
    messages.success(request, f"Endpoint {name} was removed, and its waiting hooks are cancelled.")
    return redirect("instances:endpoints", number)
