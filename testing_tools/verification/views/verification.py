"""Webhook Verification: sends an instance's hooks to its bin instead of its own URL for half an hour."""

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
from testing_tools.verification import verification_checklist
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import verifications as verification_actions
from testing_tools.verification.views.contexts import list_context, opened_context, until_mark

log = structlog.get_logger(__name__)


def page_url(instance: Instance) -> str:
    """Returns the URL of this instance's verification page."""
    return f"{reverse('testing:verification')}?instance={instance.number}"


def panel_context(instance: Instance) -> dict[str, Any]:
    """Returns the context of the upper part of the page: whether a verification runs, its end, and both URLs."""
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
    """Shows the page; without an instance, a link to create one."""
    instance = chosen_instance(request)
    if instance is None:
        return render(request, "testing_tools/verification/verification.html", {"instance": None})
    bin = bin_actions.open_bin(instance)
    return render(
        request,
        "testing_tools/verification/verification.html",
        panel_context(instance)
        | list_context(request, bin, page_url=page_url(instance))
        | opened_context(request, bin),
    )


@require_POST
@login_required
def start(request: HttpRequest) -> HttpResponse:
    """Starts a verification, or restarts its time; with `forwards`, the instance's own URL receives the hooks too."""
    instance = require_changeable_instance(request)
    verification_actions.start_verification(
        instance, forwards="forwards" in request.POST, acting_user=current_user(request)
    )
    return redirect(page_url(instance))


@require_POST
@login_required
def stop(request: HttpRequest) -> HttpResponse:
    instance = require_changeable_instance(request)
    verification_actions.stop_verification(instance, acting_user=current_user(request))
    url = verification_actions.endpoint_of(instance).url
    messages.success(
        request,
        f"Verification stopped. Hooks go to {url} again."
        if url
        else "Verification stopped. The instance has no URL of its own, so its hooks are not sent.",
    )
    return redirect(page_url(instance))


@require_POST
@login_required
def sandbox_message(request: HtmxRequest) -> HttpResponse:
    """Writes "hello" as a sandbox contact, the quickest way to a real hook; it appears in the list."""
    instance = require_changeable_instance(request)
    try:
        write_as_contact(instance, sender="17680561234", sender_name="Sandbox contact", body="hello")
    except (NotLinked, NotPossible, Banned) as error:
        is_banned = isinstance(error, Banned)
        messages.error(request, str(error) if is_banned else f"{error} Link the instance on its page first.")
        if request.htmx:
            return HttpResponse(
                headers={"HX-Refresh": "true"}
            )  # the phone was logged out after the page was loaded
        return redirect(page_url(instance))
    if request.htmx:
        return HttpResponse(status=204)
    return redirect(page_url(instance))


@require_GET
@login_required
def checklist(request: HttpRequest) -> HttpResponse:
    """Shows the possible reasons after a minute without captures; otherwise an empty response."""
    instance = require_instance(request)
    endpoint = verification_actions.endpoint_of(instance)
    checks = (
        verification_checklist.checklist(instance, endpoint)
        if verification_checklist.is_silent(bin_actions.open_bin(instance), endpoint)
        else []
    )
    return render(
        request,
        "testing_tools/verification/verification.html#checklist",
        {"instance": instance, "checks": checks},
    )
