"""A run of simulated hooks: each poll of its fragment sends the next ones, and a button ends it."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from accounts.current_user import current_user
from hooks import webhook_urls
from instances.models import Instance
from instances.pages import access
from testing_tools.simulation import actions as simulation_actions
from testing_tools.simulation import runs as simulation_runs
from testing_tools.simulation.models import SimulationRun
from testing_tools.simulation.views import last_simulations, why_off

PART = "testing_tools/simulation/simulation_run.html#run"


@require_POST
@login_required
def step(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Sends the next hooks of the run, for about a second; 204 while the page shows all that there is.

    `seen` is the cursor of what the page shows.
    """
    run = changeable_run(request, public_id)
    refusal = why_off(run.instance)
    if not refusal:
        try:
            simulation_actions.advance(run, run.instance, acting_user=current_user(request))
        except webhook_urls.BadAddress as error:
            refusal = str(error)
    shown = simulation_runs.show_run(run)
    if not refusal and shown.is_open and request.POST.get("seen") == shown.cursor:
        return HttpResponse(status=204)
    return fragment(request, shown, refusal)


@require_POST
@login_required
def cancel(request: HttpRequest, public_id: UUID) -> HttpResponse:
    run = simulation_actions.cancel_run(changeable_run(request, public_id), acting_user=current_user(request))
    return fragment(request, simulation_runs.show_run(run))


def changeable_run(request: HttpRequest, public_id: UUID) -> SimulationRun:
    """404 for a run of nobody's or a stranger's instance; a viewer gets 403."""
    runs = SimulationRun.objects.filter(instance__in=Instance.objects.visible_to(request.user))
    run = get_object_or_404(runs.select_related("instance__endpoint"), public_id=public_id)
    access.require_change(request.user, run.instance)
    return run


def fragment(request: HttpRequest, shown: simulation_runs.ShownRun, refusal: str = "") -> HttpResponse:
    context = {"instance": shown.run.instance, "run": shown, "run_refusal": refusal}
    if not shown.is_open:
        context["last"] = last_simulations(shown.run.instance)
    return render(request, PART, context)
