"""The pages of instances: the front door, the list, a new one, and one instance with its live status."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from instances import actions, statuses
from instances.access import visible_instance
from instances.figures import Figures, figures_of, first_steps, skipped_today
from instances.flags import FLAGS, attempt_times
from instances.forms import AddressForm, DeleteForm, NewInstanceForm
from instances.models import Channel, Instance

PAGE_SIZE = 60
SAY_FAILING_AFTER = timedelta(
    minutes=15
)  # of nothing but failures; one that fails now and then is in the log


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The site's root: whoever is signed in goes on to the instances, everybody else to the door."""
    return redirect("instances:list" if request.user.is_authenticated else "account_login")


@require_safe
@login_required
def instance_list(request: HttpRequest) -> HttpResponse:
    page = request.GET.get("page", "")
    start = (int(page) - 1) * PAGE_SIZE if page.isdecimal() and len(page) < 5 and int(page) else 0
    visible = Instance.objects.visible_to(request.user).select_related("endpoint")
    found = list(visible[start : start + PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    figures = figures_of(shown)
    context = {
        "cards": [(instance, statuses.describe(instance), figures[instance.pk]) for instance in shown],
        "total": len(found) if not start and len(found) <= PAGE_SIZE else visible.count(),
        "steps": first_steps(shown[0]) if shown and not start else [],
        "newer": start // PAGE_SIZE if start else None,
        "older": start // PAGE_SIZE + 2 if len(found) > PAGE_SIZE else None,
    }
    return render(request, "instances/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new(request: HttpRequest) -> HttpResponse:
    form = NewInstanceForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        instance = actions.create_instance(
            form.chosen_account(),
            name=form.cleaned_data["name"],
            channel=form.cleaned_data["channel"],
            actor=request.user,
        )
        return redirect(instance)
    return render(request, "instances/new.html", {"form": form, "channels": Channel})


def curl_lines(instance: Instance) -> list[tuple[str, str, str]]:
    """Ready lines for a shell: label, the line with the token masked, the line whole."""
    call, data = f"curl -X POST '{instance.api_url}", " \\\n  -H 'Content-Type: application/json' \\\n  -d "
    lines = (
        (
            "Send a message",
            f'{call}sendMessage?token=TOKEN\'{data}\'{{"phone":"17680561234","body":"Hello!"}}\'',
        ),
        ("Read messages", f"curl '{instance.api_url}messages?token=TOKEN&last=true'"),
        ("Ask for the status", f"curl '{instance.api_url}status?token=TOKEN'"),
    )
    return [
        (label, line.replace("TOKEN", "\N{BULLET}" * 8), line.replace("TOKEN", instance.token))
        for label, line in lines
    ]


def detail_context(instance: Instance, **more: Any) -> dict[str, Any]:
    """What instances/detail.html shows, whole or in part; `more` overrides."""
    settings = actions.read_settings(instance)
    skipped = skipped_today(instance)
    endpoint = instance.endpoint
    context: dict[str, Any] = {
        "instance": instance,
        "endpoint": endpoint,
        "status": statuses.describe(instance),
        "figures": figures_of([instance]).get(instance.pk, Figures()),
        "steps": first_steps(instance),
        "is_failing": not endpoint.paused_at
        and endpoint.failing_since is not None
        and timezone.now() - endpoint.failing_since > SAY_FAILING_AFTER,
        "old_secret_until": endpoint.previous_secret_until if len(endpoint.valid_secrets()) > 1 else None,
        "address_form": AddressForm(initial={"url": instance.endpoint.url}),
        "delete_form": DeleteForm(instance=instance),
        "flags": [
            (flag, bool(settings[flag.name]), skipped[flag.kind] if flag.kind else 0) for flag in FLAGS
        ],
        "attempt_times": attempt_times(),
        "curl_lines": curl_lines(instance),
    }
    return context | more


@require_safe
@login_required
def detail(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "instances/detail.html", detail_context(visible_instance(request, number)))


@require_safe
@login_required
def status(request: HttpRequest, number: int) -> HttpResponse:
    """The status card, when it is not the one that the page shows already (`?seen=`); else 204."""
    instance = visible_instance(request, number)
    words = statuses.describe(instance)
    if request.GET.get("seen") == words.cursor:
        return HttpResponse(status=204)
    return render(request, "instances/detail.html#status_card", {"instance": instance, "status": words})
