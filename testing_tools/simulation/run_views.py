"""Views of a run of simulated hooks: each poll of its fragment sends the next hooks; a button cancels it."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from accounts.current_user import current_user
from hooks.urls import webhook_urls
from instances.models import Instance
from instances.pages import access
from testing_tools.simulation import actions as simulation_actions
from testing_tools.simulation import runs as simulation_runs
from testing_tools.simulation.contexts import blocked_because, recent_simulations
from testing_tools.simulation.models import SimulationRun

PARTIAL = "testing_tools/simulation/simulation_run.html#run"


@require_POST
@login_required
def step(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Send the next hooks of the run for about a second; show the run, or 204 if the page already shows its state.

    `seen` is the cursor of the state that the page shows.
    """
    run = changeable_run(request, public_id)
    refusal = blocked_because(run.instance)
    if not refusal:
        try:
            simulation_actions.advance(run)
        except webhook_urls.InvalidUrl as error:
            refusal = str(error)
    shown = simulation_runs.show_run(run)
    if not refusal and shown.is_open and request.POST.get("seen") == shown.cursor:
        return HttpResponse(status=204)
    return render_run(request, shown, refusal)


@require_POST
@login_required
def cancel(request: HttpRequest, public_id: UUID) -> HttpResponse:
    run = simulation_actions.cancel_run(changeable_run(request, public_id), acting_user=current_user(request))
    return render_run(request, simulation_runs.show_run(run))


def changeable_run(request: HttpRequest, public_id: UUID) -> SimulationRun:
    """Returns the run. 404 if the user cannot see its instance, 403 if they are a viewer."""
    runs = SimulationRun.objects.filter(instance__in=Instance.objects.visible_to(request.user))
    run = get_object_or_404(runs.select_related("instance__endpoint"), public_id=public_id)
    access.require_change(request.user, run.instance)
    return run


def render_run(request: HttpRequest, shown: simulation_runs.ShownRun, refusal: str = "") -> HttpResponse:
    context = {"instance": shown.run.instance, "run": shown, "run_refusal": refusal.rstrip(".")}
    if not shown.is_open:
        context["recent"] = recent_simulations(shown.run.instance)
    return render(request, PARTIAL, context)
