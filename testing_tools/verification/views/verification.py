"""Webhook Verification: an instance's hooks go to its bin for half an hour, and back by themselves."""

from typing import Any

import structlog
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.current_user import current_user
from chatapi.ui.requests import HtmxRequest
from instances.actions.bans import Banned
from instances.channels.sandbox.actions.contacts import write_as_contact
from instances.channels.sandbox.actions.preconditions import NotLinked, NotPossible
from instances.models import Instance
from instances.pages.chosen_instance import chosen_instance, require_changeable_instance, require_instance
from testing_tools.verification import checklist as silence
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import verifications as verification_actions
from testing_tools.verification.views.contexts import list_context, until_mark

log = structlog.get_logger(__name__)


def address_of(instance: Instance) -> str:
    """The page of this instance's verification."""
    return f"{reverse('testing:verification')}?instance={instance.number}"


def panel_context(instance: Instance) -> dict[str, Any]:
    """What the upper part of the page needs: does one run, until when, what are the two addresses."""
    endpoint = verification_actions.endpoint_of(instance)
    return {
        "instance": instance,
        "endpoint": endpoint,
        "until": until_mark(endpoint),
        "minutes": settings.VERIFICATION_MINUTES,
    }


@require_GET
@login_required
def verification(request: HttpRequest) -> HttpResponse:
    """The page; a person without an instance is shown the way to one."""
    instance = chosen_instance(request)
    if instance is None:
        return render(request, "testing_tools/verification/verification.html", {"instance": None})
    bin = bin_actions.open_bin(instance)
    return render(
        request,
        "testing_tools/verification/verification.html",
        panel_context(instance) | list_context(request, bin, address=address_of(instance)),
    )


@require_POST
@login_required
def start(request: HttpRequest) -> HttpResponse:
    """Start, or begin the half hour anew; with `forwards` the own address gets the hooks as well."""
    instance = require_changeable_instance(request)
    verification_actions.start_verification(
        instance, forwards="forwards" in request.POST, acting_user=current_user(request)
    )
    return redirect(address_of(instance))


@require_POST
@login_required
def stop(request: HttpRequest) -> HttpResponse:
    instance = require_changeable_instance(request)
    verification_actions.stop_verification(instance, acting_user=current_user(request))
    url = verification_actions.endpoint_of(instance).url
    messages.success(
        request,
        f"Verification has ended. Hooks go to {url} again."
        if url
        else "Verification has ended. The instance has no address of its own, so its hooks go nowhere.",
    )
    return redirect(address_of(instance))


@require_POST
@login_required
def sandbox_message(request: HtmxRequest) -> HttpResponse:
    """A sandbox contact writes "hello": the quickest way to a real hook. The live list shows what comes of it."""
    instance = require_changeable_instance(request)
    try:
        write_as_contact(instance, sender="17680561234", sender_name="Sandbox contact", body="hello")
    except (NotLinked, NotPossible, Banned) as error:
        banned = isinstance(error, Banned)
        messages.error(request, str(error) if banned else f"{error} Link it first, on its own page.")
        if request.htmx:
            return HttpResponse(headers={"HX-Refresh": "true"})  # the page is older than the phone's logout
        return redirect(address_of(instance))
    if request.htmx:
        return HttpResponse(status=204)
    return redirect(address_of(instance))


@require_GET
@login_required
def checklist(request: HttpRequest) -> HttpResponse:
    """After a minute of silence, why nothing may come; empty before, and when something has come."""
    instance = require_instance(request)
    endpoint = verification_actions.endpoint_of(instance)
    points = (
        silence.checklist(instance, endpoint)
        if silence.is_silent(bin_actions.open_bin(instance), endpoint)
        else []
    )
    return render(
        request,
        "testing_tools/verification/verification.html#checklist",
        {"instance": instance, "points": points},
    )
