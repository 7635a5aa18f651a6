"""Links an instance to an account by the values of a form, changes them, and removes the link."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.current_user import current_user
from chatapi.ui.requests import HtmxRequest
from instances.actions.channel_links import unlink_account
from instances.channels.linking import NotLinkable
from instances.limits import manual_request_limit
from instances.limits.manual_request_limit import TooMany
from instances.models import Instance
from instances.pages import access
from instances.pages.overview.button_views import card_response
from instances.pages.setup.account import account_card, mistake_while_typing
from instances.pages.setup.views import setup_context
from instances.receiving.linking import link_account
from instances.receiving.links import linkable_channel
from instances.receiving.unlinking import ending_links


def linkable_instance(request: HtmxRequest, number: int) -> Instance:
    """The instance, for a change. Raises Http404 if its channel is not linked by values."""
    instance = access.changeable_instance(request, number)
    if linkable_channel(instance.channel) is None:
        raise Http404
    return instance


@require_POST
@login_required
def save(request: HtmxRequest, number: int) -> HttpResponse:
    """Checks the values at the messenger, saves and connects them. Waits up to 30 s for the messenger."""
    instance = linkable_instance(request, number)
    typed = posted_values(request, instance)
    error, field = "", ""
    user = current_user(request)
    try:
        with ending_links(instance, acting_user=user) as notice, manual_request_limit.place(user):
            link_account(instance, typed, acting_user=user)
    except NotLinkable as refused:
        error, field = refused.sentence, refused.field
    except TooMany as refused:
        error = str(refused)
    is_setup = request.POST.get("next") == "setup"
    if notice.text and (is_setup or not request.htmx):
        messages.warning(request, notice.text)
    if is_setup:
        return setup_response(request, instance, typed, error, field)
    if error:
        card = account_card(instance, typed, error=error, field=field)
        return card_response(request, number, "account", account=card, failed=True, notice=notice.text)
    return card_response(request, number, "account", account_saved=True, notice=notice.text)


def posted_values(request: HtmxRequest, instance: Instance) -> dict[str, str]:
    channel = linkable_channel(instance.channel)
    names = [field.name for field in channel.setup.fields] if channel else []
    return {name: str(request.POST[name]) for name in names if name in request.POST}


def setup_response(
    request: HtmxRequest, instance: Instance, typed: dict[str, str], error: str, field: str
) -> HttpResponse:
    """The setup's step again with what is wrong, or the way to the next one."""
    if not error:
        card = account_card(instance)
        stay = "?step=link" if card and card.setup.callback_steps else ""
        url = reverse("instances:setup", args=[instance.number]) + stay
        return HttpResponse(headers={"HX-Redirect": url}) if request.htmx else redirect(url)
    more: dict[str, Any] = {"account": account_card(instance, typed, error=error, field=field)}
    page = "instances/pages/setup/setup.html"
    context = setup_context(access.visible_instance(request, instance.number), "link", **more)
    return render(request, f"{page}#account_step" if request.htmx else page, context)


@require_POST
@login_required
def check(request: HtmxRequest, number: int, field: str) -> HttpResponse:
    """Checks the form of the value that is being typed; saves nothing and makes no request."""
    instance = linkable_instance(request, number)
    found = mistake_while_typing(instance, field, request.POST.get(field, ""))
    if found is None:
        raise Http404
    row, mistake = found
    context = {"row": row._replace(error=mistake), "is_typed": bool(request.POST.get(field, "").strip())}
    return render(request, "instances/pages/setup/link_message.html", context)


@require_POST
@login_required
def remove(request: HtmxRequest, number: int) -> HttpResponse:
    """Removes the link with its credentials."""
    instance = linkable_instance(request, number)
    user = current_user(request)
    with ending_links(instance, acting_user=user) as notice:
        unlink_account(instance, acting_user=user)
    messages.success(request, f"{instance} is not linked any more. Its credentials were deleted.")
    if notice.text:
        messages.warning(request, notice.text)
    url = reverse("instances:detail", args=[number])
    return HttpResponse(headers={"HX-Redirect": url}) if request.htmx else redirect(url)
