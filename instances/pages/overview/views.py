"""The overview of one instance: status, webhook, flags and API; and its status card, which polls."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from chatapi.ui.request_snippets import short_curl
from hooks.log.endpoint_numbers import numbers_of
from hooks.log.holds import recent_holds
from instances.actions.settings import read_settings
from instances.actions.status import expire_code
from instances.endpoint_filters import describe_filters
from instances.models import Channel, Instance
from instances.pages import status_texts
from instances.pages.access import credentials_of, visible_instance
from instances.pages.endpoints.cards import endpoints_of, failing_words, lines_of
from instances.pages.endpoints.forwarding import commands as forward_commands
from instances.pages.forms import AddressForm
from instances.pages.history.status_history import count_recent_changes
from instances.pages.log.hold_texts import recent_words
from instances.pages.messages.conversations import digest
from instances.pages.overview import qr_code
from instances.pages.overview.delivery_counts import skipped_today
from instances.pages.overview.failing_kinds import find_failing_kind
from instances.pages.overview.first_steps import first_steps
from instances.pages.overview.signature_snippets import SNIPPETS
from instances.pages.settings.flag_texts import attempt_times
from instances.pages.settings.setting_rows import build_flag_rows
from instances.pages.setup.account import account_card
from instances.receiving.health import describe_receiving
from instances.receiving.pairing import can_pair
from instances.sending.health import describe_sending
from instances.tool_links import tool_url

PAGE = "instances/pages/overview/overview.html"


def code_context(instance: Instance) -> dict[str, Any]:
    """The status and the code to scan. The code is read first: it may turn out to be expired."""
    code = qr_code.shown_code(instance)
    return {
        "instance": instance,
        "code": code,
        "can_pair": can_pair(instance),
        "confirmation": qr_code.shown_confirmation(instance),
        "status": status_texts.describe(instance),
        "phone_url": tool_url("phone", instance.number) if instance.channel == Channel.SANDBOX else "",
    }


def traffic_context(instance: Instance) -> dict[str, Any]:
    """How sending and receiving work; `seen` changes when the status card has to show something else."""
    receiving, sending = describe_receiving(instance), describe_sending(instance)
    seen = digest([status_texts.describe(instance).cursor, receiving, sending])
    return {"receiving": receiving, "sending": sending, "seen": seen}


def status_context(
    instance: Instance, *, traffic: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """What the status card shows; `more` overrides. `traffic` is traffic_context's, if it is known."""
    changes = {"changes": count_recent_changes(instance)}
    return code_context(instance) | changes | (traffic or traffic_context(instance)) | more


def curl_lines(instance: Instance, token: str) -> list[tuple[str, str, str]]:
    """Returns commands for a shell: label, the command with the token masked, the complete command."""
    message = {"phone": "17680561234", "body": "Hello!"}

    def commands(shown_token: str) -> list[str]:
        query = f"?token={shown_token}"
        return [
            short_curl(f"{instance.api_url}sendMessage{query}", method="POST", json=message),
            short_curl(f"{instance.api_url}messages{query}&last=true"),
            short_curl(f"{instance.api_url}status{query}"),
        ]

    labels = ("Send a message", "Read messages", "Get the status")
    return list(zip(labels, commands("\N{BULLET}" * 8), commands(token), strict=True))


def detail_context(instance: Instance, **more: Any) -> dict[str, Any]:
    """What the page and each of its cards show; `more` overrides."""
    endpoint, credentials = instance.endpoint, credentials_of(instance)
    failing_for = failing_words(endpoint, timezone.now())
    context: dict[str, Any] = status_context(instance) | {
        "tab": "overview",
        "account": account_card(instance),
        "endpoint": endpoint,
        "endpoints": lines_of(endpoints_of(instance), instance.number) if endpoint.others else [],
        "forward": forward_commands(instance),
        "filters": describe_filters(endpoint) if endpoint.is_filtered else "",
        "counts": numbers_of([instance.pk])[instance.pk],
        "steps": first_steps(instance),
        "failing_for": failing_for,
        "failing_kind": None if endpoint.paused_at else find_failing_kind(instance),
        "holds": recent_words(recent_holds(endpoint)),
        "old_secret_until": endpoint.previous_secret_until if len(endpoint.valid_secrets()) > 1 else None,
        "address_form": AddressForm(initial={"url": endpoint.url}),
        "flags": build_flag_rows(read_settings(instance), skipped_today(instance)),
        "attempt_times": attempt_times(),
        "credentials": credentials,
        "signing_secret": credentials.signing_secret,
        "rotate_url": reverse("instances:secret", args=(instance.number,)),
        "end_url": reverse("instances:secret-end", args=(instance.number,)),
        "curl_lines": curl_lines(instance, credentials.token),
        "snippets": SNIPPETS,
        "docs_url": reverse("docs:contract"),
    }
    return context | more


@require_safe
@login_required
def detail(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, PAGE, detail_context(visible_instance(request, number)))


@require_safe
@login_required
def status(request: HttpRequest, number: int) -> HttpResponse:
    """The status card, or 204 if the page shows the current one (`?seen=`)."""
    instance = visible_instance(request, number)
    if instance.is_code_outdated:
        expire_code(instance)
    traffic = traffic_context(instance)
    if request.GET.get("seen") == traffic["seen"]:
        return HttpResponse(status=204)
    return render(request, "instances/pages/overview/status.html", status_context(instance, traffic=traffic))
