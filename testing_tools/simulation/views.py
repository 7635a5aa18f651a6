"""Webhook Simulation: the page, and its form and JSON, which are kept in sync."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from instances.models import Instance
from instances.pages.chosen_instance import chosen_instance, require_instance
from testing_tools.simulation import runs as simulation_runs
from testing_tools.simulation.contexts import (
    body_text,
    chosen_kind,
    destination_context,
    page_context,
    replace_url,
)
from testing_tools.simulation.drafts import Draft, validated, with_values
from testing_tools.simulation.form_fields import fields_of
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.models import Bin

PAGE = "testing_tools/simulation/simulation.html"


@require_safe
@login_required
def simulation(request: HttpRequest) -> HttpResponse:
    """Shows the page. `?what=` is the kind, `?to=bin` or `?url=…` the destination; an unfinished run is paused."""
    instance = chosen_instance(request)
    if instance is None:
        return render(request, PAGE, {"instance": None})
    run = simulation_runs.unfinished_run(instance)
    context = page_context(
        instance,
        request.GET,
        url=destination(instance, request.GET),
        run=simulation_runs.show_run(run) if run else None,
        is_paused=True,
    )
    return render(request, PAGE, context)


def destination(instance: Instance, given: QueryDict) -> str:
    """Returns the destination in the page's query; otherwise the instance's URL."""
    if given.get("to") == "bin" and (bin := Bin.objects.filter(instance=instance).first()):
        return bin.url
    return given.get("url", "").strip()[:2000] or instance.endpoint.effective_url()


@require_POST
@login_required
def choose(request: HttpRequest) -> HttpResponse:
    """Shows the form with the example of another kind; the destination is kept."""
    instance = require_instance(request)
    context = page_context(instance, request.POST, url=request.POST.get("url", "").strip())
    return replace_url(render(request, f"{PAGE}#form", context), context, context["kind"])


@require_POST
@login_required
def update_json(request: HttpRequest) -> HttpResponse:
    """Shows the JSON after a change in the form; 204 if it is unchanged, so that text being typed is not replaced."""
    instance = require_instance(request)
    draft = changed_draft(request, instance)
    if draft.text == body_text(request):
        return HttpResponse(status=204)
    context: dict[str, Any] = {"instance": instance, "draft": draft}
    if request.headers.get("HX-Trigger-Name") == "group":  # the group's name was filled in
        context |= {"draft": validated(draft.kind, draft.text), "with_fields": True}
    return render(request, f"{PAGE}#json", context)


def changed_draft(request: HttpRequest, instance: Instance) -> Draft:
    kind = chosen_kind(request.POST.get("what"))
    names = [field.name for field in fields_of(kind)]
    values = {name: request.POST[name].replace("\r\n", "\n") for name in names if name in request.POST}
    return with_values(instance, kind, body_text(request), values)


@require_POST
@login_required
def update_form(request: HttpRequest) -> HttpResponse:
    """Shows the form after a change in the JSON, or the JSON's error."""
    instance = require_instance(request)
    draft = validated(chosen_kind(request.POST.get("what")), body_text(request))
    return render(request, f"{PAGE}#form_update", {"instance": instance, "draft": draft})


@require_POST
@login_required
def destination_url(request: HttpRequest) -> HttpResponse:
    """Shows the destination for `use` = `bin` or `own`; without `use`, the line below the typed URL."""
    instance = require_instance(request)
    use, partial = request.POST.get("use"), "destination"
    if use == "bin":
        url = bin_actions.open_bin(instance).url
    elif use == "own":
        url = instance.endpoint.effective_url()
    else:
        url, partial = request.POST.get("url", "").strip(), "origin"
    context = destination_context(instance, url)
    response = render(request, f"{PAGE}#{partial}", context)
    return replace_url(response, context, chosen_kind(request.POST.get("what")))
