"""The buttons of an instance's page. Each responds to htmx with its card, and otherwise with a redirect to the page."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.current_user import current_user
from accounts.reauthentication import password_required
from chatapi.ui.redirects import redirect_back
from chatapi.ui.requests import HtmxRequest
from hooks.actions import endpoints as hook_actions
from instances import chat_ids
from instances.actions import lifecycle as lifecycle_actions
from instances.actions.callbacks import retry_failed_callbacks
from instances.actions.lifecycle import (
    change_channel,
    change_instance,
    delete_instance,
    link_sandbox,
)
from instances.actions.settings import change_settings
from instances.actions.status import expire_code
from instances.channels import channel_of
from instances.channels.base import Button, CannotDo
from instances.models import AccountStatus
from instances.pages import access, status_texts
from instances.pages.access import visible_instance
from instances.pages.forms import ChannelForm, DeleteForm, NameForm
from instances.pages.overview.views import detail_context
from instances.pages.settings.views import settings_context
from instances.receiving.pairing import can_pair, get_pairing_code
from instances.receiving.unlinking import ending_links

PAGE = "instances/pages/overview/overview.html"
CARDS = {
    name: f"instances/pages/{folder}/{name}.html"
    for folder, names in {
        "overview": ("api", "code", "danger", "status"),
        "endpoints": ("secret", "webhook"),
        "settings": ("flags", "more"),
        "setup": ("account",),
    }.items()
    for name in names
}


def card_response(request: HtmxRequest, number: int, card: str, **more: Any) -> HttpResponse:
    """A card of CARDS and the first steps, as saved; without htmx a redirect, so that reloading repeats nothing."""
    if not request.htmx and not more.get("failed"):
        return redirect("instances:detail", number)
    fresh = visible_instance(request, number)  # read again: the card shows what was saved
    context = detail_context(fresh, **more)
    if not request.htmx:
        return render(request, PAGE, context)
    response = render(request, CARDS[card], context)
    response.content += render(request, f"{PAGE}#first_steps", context | {"oob": True}).content
    return response


@require_POST
@login_required
def link(request: HtmxRequest, number: int) -> HttpResponse:
    """Scans the code with the sandbox phone; does nothing if another window has already done it."""
    instance = access.changeable_instance(request, number)
    if instance.is_paid and not instance.is_stopped and instance.account_status == AccountStatus.GOT_QR_CODE:
        link_sandbox(instance, acting_user=current_user(request))
    if request.POST.get("next") == "setup":
        return redirect("instances:setup", number)
    return card_response(request, number, "status")


@require_POST
@login_required
def press(request: HtmxRequest, number: int, button: str) -> HttpResponse:
    """One of the buttons that apply now, as the wire contract's method of that name; any other does nothing.

    A button may have stopped applying while the page was open; the card shows the current status.
    """
    instance = access.changeable_instance(request, number)
    if button == status_texts.LINK:
        return link(request, number)
    refused = ""
    if instance.is_code_outdated:
        expire_code(instance)
    if button in {shown.name for shown in status_texts.buttons_of(instance)}:
        try:
            channel_of(instance).press(instance, Button(button), acting_user=current_user(request))
        except CannotDo as error:
            refused = str(error)
    if request.POST.get("next") == "setup":
        return redirect("instances:setup", number)
    return card_response(request, number, "status", refused=refused)


@require_POST
@login_required
def pair(request: HtmxRequest, number: int) -> HttpResponse:
    """Gets a code that links the phone with the posted number, and shows it; 404 if the messenger has none."""
    instance = access.changeable_instance(request, number)
    if not can_pair(instance):
        raise Http404
    code, refused = "", ""
    try:
        code = get_pairing_code(instance, request.POST.get("phone", ""), acting_user=current_user(request))
    except (chat_ids.BadChatId, CannotDo) as error:
        refused = str(error)
    if request.htmx:
        context = {"pairing_code": code, "pairing_refused": refused, "instance": instance}
        return render(request, "instances/pages/overview/pairing.html", context)
    if code:
        messages.success(request, f"Enter this code on the phone: {code}")
    else:
        messages.error(request, refused)
    return redirect("instances:detail", number)


@require_POST
@login_required
def retry_callbacks(request: HtmxRequest, number: int) -> HttpResponse:
    """Lets the failed callbacks of the messenger be handled again."""
    retry_failed_callbacks(access.changeable_instance(request, number), acting_user=current_user(request))
    return card_response(request, number, "status")


@require_POST
@login_required
def rename(request: HtmxRequest, number: int) -> HttpResponse:
    instance = access.changeable_instance(request, number)
    form = NameForm(request.POST)
    if form.is_valid():
        change_instance(instance, acting_user=current_user(request), name=form.cleaned_data["name"])
    else:
        messages.error(request, "The name was not saved. It must have at most 100 characters.")
    return redirect("instances:settings", number)


@require_POST
@login_required
def move(request: HtmxRequest, number: int) -> HttpResponse:
    """Moves the instance to another channel, and leads to the step that links it there."""
    instance = access.changeable_instance(request, number)
    form = ChannelForm(request.POST)
    if not form.is_valid():
        messages.error(request, "The instance was not moved. Choose one of the channels.")
        return redirect("instances:settings", number)
    user = current_user(request)
    with ending_links(instance, acting_user=user) as notice:
        change_channel(instance, channel=form.cleaned_data["channel"], acting_user=user)
    if notice.text:
        messages.warning(request, notice.text)
    return redirect(f"{reverse('instances:setup', args=[number])}?step=link")


@require_POST
@login_required
@password_required
def rotate_token(request: HtmxRequest, number: int) -> HttpResponse:
    lifecycle_actions.rotate_token(
        access.changeable_instance(request, number), acting_user=current_user(request)
    )
    return card_response(request, number, "api", rotated=True)


@require_POST
@login_required
@password_required
def rotate_secret(request: HtmxRequest, number: int) -> HttpResponse:
    endpoint = access.changeable_instance(request, number).endpoint
    hook_actions.rotate_secret(endpoint, acting_user=request.user)
    return card_response(request, number, "secret", secret_change="rotated")


@require_POST
@login_required
@password_required
def end_previous_secret(request: HtmxRequest, number: int) -> HttpResponse:
    endpoint = access.changeable_instance(request, number).endpoint
    hook_actions.end_previous_secret(endpoint, acting_user=request.user)
    return card_response(request, number, "secret", secret_change="ended")


@require_POST
@login_required
def turn_on_acks(request: HtmxRequest, number: int) -> HttpResponse:
    """Turns on ackNotificationsOn, which the last of the first steps needs; redirects to the page of the button."""
    instance = access.changeable_instance(request, number)
    change_settings(instance, changes={"ackNotificationsOn": True}, acting_user=current_user(request))
    messages.success(request, f"ackNotificationsOn of {instance} is on. Send a message to see its acks.")
    return redirect_back(request, "instances:detail", number)


@require_POST
@login_required
def pause(request: HtmxRequest, number: int) -> HttpResponse:
    hook_actions.pause(access.changeable_instance(request, number).endpoint, acting_user=request.user)
    return redirect("instances:detail", number)


@require_POST
@login_required
def resume(request: HtmxRequest, number: int) -> HttpResponse:
    """The banner's button; `next` leads back to the page that has shown it."""
    instance = access.changeable_instance(request, number)
    if instance.endpoint.paused_at is not None:
        hook_actions.resume(instance.endpoint, acting_user=request.user)
        messages.success(
            request, f"Delivery of {instance} is resumed: one hook per second at first, then faster."
        )
    return redirect_back(request, "instances:detail", number)


@require_POST
@login_required
@password_required
def delete(request: HtmxRequest, number: int) -> HttpResponse:
    instance = visible_instance(request, number)
    access.require_owner(request.user, instance)
    form = DeleteForm(request.POST, instance=instance)
    if not form.is_valid():
        context = settings_context(instance, delete_form=form, failed=True)
        card = "instances/pages/settings/settings.html"
        if request.htmx:
            card = "instances/pages/overview/danger.html"
        return render(request, card, context)
    user = current_user(request)
    with ending_links(instance, acting_user=user) as notice:
        delete_instance(instance, acting_user=user)
    messages.success(request, f"Instance {number} was deleted, with its chats, messages and hooks.")
    if notice.text:
        messages.warning(request, notice.text)
    if request.htmx:
        return HttpResponse(headers={"HX-Redirect": reverse("instances:list")})
    return HttpResponseRedirect(reverse("instances:list"))
