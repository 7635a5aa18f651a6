"""What the buttons of an instance's page do. Each answers htmx with its card, everyone else with the page."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from hooks import actions as hook_actions
from instances import access, actions
from instances.access import visible_instance
from instances.flags import FLAGS
from instances.forms import AddressForm, DeleteForm, NameForm
from instances.models import AccountStatus, Instance, Substatus
from instances.views.pages import detail_context

PAGE = "instances/detail.html"
FLAG_NAMES = {flag.name for flag in FLAGS}


def answer(request: HttpRequest, number: int, part: str, **more: Any) -> HttpResponse:
    """The card `part` and the first steps, read back; without htmx the page, so that a reload repeats nothing."""
    if not request.htmx and not more.get("failed"):  # type: ignore[attr-defined]
        return redirect("instances:detail", number)
    fresh = visible_instance(request, number)  # read back: what is shown is what was saved
    context = detail_context(fresh, **more)
    if not request.htmx:  # type: ignore[attr-defined]
        return render(request, PAGE, context)
    answer = render(request, f"{PAGE}#{part}", context)
    answer.content += render(request, f"{PAGE}#first_steps", context | {"oob": True}).content
    return answer


@require_POST
@login_required
def link(request: HttpRequest, number: int) -> HttpResponse:
    """Scan the code with the sandbox phone; does nothing when another window has done it already."""
    instance = access.changeable_instance(request, number)
    if instance.is_paid and instance.account_status == AccountStatus.GOT_QR_CODE:
        actions.link_sandbox(instance, actor=request.user)
    return answer(request, number, "status_card")


@require_POST
@login_required
def log_out(request: HttpRequest, number: int) -> HttpResponse:
    instance = access.changeable_instance(request, number)
    if instance.is_authenticated:
        actions.change_status(
            instance, account_status=AccountStatus.GOT_QR_CODE, substatus=Substatus.NORMAL, actor=request.user
        )
    return answer(request, number, "status_card")


@require_POST
@login_required
def rename(request: HttpRequest, number: int) -> HttpResponse:
    instance = access.changeable_instance(request, number)
    form = NameForm(request.POST)
    if form.is_valid():
        actions.change_instance(instance, actor=request.user, name=form.cleaned_data["name"])
    else:
        messages.error(request, "The name was not saved: it takes at most 100 characters.")
    return redirect("instances:detail", number)


@require_POST
@login_required
def save_address(request: HttpRequest, number: int) -> HttpResponse:
    instance = access.changeable_instance(request, number)
    form = AddressForm(request.POST)
    if not form.is_valid():
        return answer(request, number, "webhook_card", address_form=form, failed=True)
    changed = change_settings(instance, {"webhookUrl": form.cleaned_data["url"] or None}, request)
    return answer(request, number, "webhook_card", saved="changed" if changed else "same")


@require_POST
@login_required
def switch_flag(request: HttpRequest, number: int) -> HttpResponse:
    """`name` of one of the six flags, and `on`, there or not, as a checkbox sends it."""
    instance = access.changeable_instance(request, number)
    name = request.POST.get("name", "")
    if name not in FLAG_NAMES:
        return HttpResponse("Unknown flag.", status=400, content_type="text/plain")
    change_settings(instance, {name: "on" in request.POST}, request)
    return answer(request, number, "flags_card", switched=name)


def change_settings(instance: Instance, changes: dict[str, Any], request: HttpRequest) -> dict[str, Any]:
    return actions.change_settings(instance, changes, actor=request.user)


@require_POST
@login_required
def rotate_token(request: HttpRequest, number: int) -> HttpResponse:
    actions.rotate_token(access.changeable_instance(request, number), actor=request.user)
    return answer(request, number, "api_card", rotated=True)


@require_POST
@login_required
def rotate_secret(request: HttpRequest, number: int) -> HttpResponse:
    endpoint = access.changeable_instance(request, number).endpoint
    hook_actions.rotate_secret(endpoint, actor=request.user)
    return answer(request, number, "webhook_card", secret_said="rotated")


@require_POST
@login_required
def end_previous_secret(request: HttpRequest, number: int) -> HttpResponse:
    endpoint = access.changeable_instance(request, number).endpoint
    hook_actions.end_previous_secret(endpoint, actor=request.user)
    return answer(request, number, "webhook_card", secret_said="ended")


@require_POST
@login_required
def pause(request: HttpRequest, number: int) -> HttpResponse:
    hook_actions.pause(access.changeable_instance(request, number).endpoint, actor=request.user)
    return redirect("instances:detail", number)


@require_POST
@login_required
def resume(request: HttpRequest, number: int) -> HttpResponse:
    """The banner's button; with `next=log` it stood in the delivery log."""
    instance = access.changeable_instance(request, number)
    if instance.endpoint.paused_at is not None:
        hook_actions.resume(instance.endpoint, actor=request.user)
        messages.success(request, f"Delivery of {instance} goes on: one hook a second at first, then faster.")
    if request.POST.get("next") == "log":
        return HttpResponseRedirect(f"{reverse('log:list')}?instance={number}")
    return redirect("instances:detail", number)


@require_POST
@login_required
def delete(request: HttpRequest, number: int) -> HttpResponse:
    instance = visible_instance(request, number)
    access.must_own(request.user, instance)
    form = DeleteForm(request.POST, instance=instance)
    if not form.is_valid():
        return answer(request, number, "danger_card", delete_form=form, failed=True)
    actions.delete_instance(instance, actor=request.user)
    messages.success(request, f"Instance {number} is deleted, with its chats, messages and hooks.")
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponse(headers={"HX-Redirect": reverse("instances:list")})
    return HttpResponseRedirect(reverse("instances:list"))
