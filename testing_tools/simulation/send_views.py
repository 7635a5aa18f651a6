"""Webhook Simulation: sends one hook and shows the result, or plans a run of several."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from accounts.current_user import current_user
from chatapi.ui.json_text import BadJson, compact
from chatapi.ui.requests import HtmxRequest
from hooks.models import Hook, Kind
from hooks.urls import webhook_urls
from instances.models import Instance
from instances.pages import access
from instances.pages.chosen_instance import require_changeable_instance
from instances.pages.log.attempts import show
from instances.pages.log.fixes import fixes_of
from testing_tools.simulation import actions as simulation_actions
from testing_tools.simulation import runs as simulation_runs
from testing_tools.simulation.actions import NotSent
from testing_tools.simulation.contexts import (
    body_text,
    chosen_kind,
    page_context,
    recent_simulations,
)
from testing_tools.simulation.drafts import Draft, validated
from testing_tools.simulation.kinds import hook_kind
from testing_tools.simulation.models import Plan
from testing_tools.simulation.views import PAGE


@require_POST
@login_required
def send(request: HtmxRequest) -> HttpResponse:
    """Send the hook and show the result. Takes as long as the endpoint does, at most 10 s.

    A run is only created here; its fragment sends it (run_views.step).
    """
    instance = require_changeable_instance(request)
    kind, url = chosen_kind(request.POST.get("what")), request.POST.get("url", "").strip()
    draft = validated(kind, body_text(request))
    context: dict[str, Any] = {"draft": draft}
    try:
        context |= send_draft(request, instance, draft, url)
    except (NotSent, simulation_runs.InvalidRun, webhook_urls.InvalidUrl) as error:
        context["refusal"] = str(error)
    if request.htmx:
        return render_result(request, instance, context)
    return render(request, PAGE, page_context(instance, request.POST, url=url, **context))


def render_result(request: HttpRequest, instance: Instance, context: dict[str, Any]) -> HttpResponse:
    """Returns the result, and the recent simulations below it."""
    context |= {"instance": instance, "recent": recent_simulations(instance)}
    return render(request, f"{PAGE}#result", context)


@require_POST
@login_required
def again(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Send the same bytes of a simulated hook to the same URL, as a new hook."""
    visible = Hook.objects.of_instances(Instance.objects.visible_to(request.user)).filter(simulated=True)
    hook = get_object_or_404(visible.select_related("endpoint__instance"), public_id=public_id)
    instance = hook.endpoint.instance
    access.require_change(request.user, instance)
    context: dict[str, Any] = {}
    try:
        if hook.body_dropped_at is not None:
            raise NotSent("The hook's body is no longer stored, so it cannot be sent again.")
        context |= send_hook(
            request, instance, kind=Kind(hook.kind), body=bytes(hook.body), to_url=hook.to_url
        )
    except NotSent as error:
        context["refusal"] = str(error)
    return render_result(request, instance, context)


def send_draft(request: HttpRequest, instance: Instance, draft: Draft, url: str) -> dict[str, Any]:
    """Send the draft, or create the run; returns the context of the result.

    Raises:
        NotSent: the draft has an error, or the instance cannot send.
        InvalidRun: the plan is not possible.
        webhook_urls.InvalidUrl: the URL is not allowed.
    """
    if draft.error:
        raise NotSent(f"The JSON cannot be sent. {draft.error}")
    try:
        body = compact(draft.text)
    except BadJson as error:
        raise NotSent(str(error)) from None
    to_url = webhook_urls.check(url)
    plan = request.POST.get("plan", Plan.ONCE)
    if plan not in Plan.values or plan == Plan.ONCE:
        return send_hook(request, instance, kind=hook_kind(draft.kind), body=body, to_url=to_url)
    simulation_actions.raise_if_blocked(instance)
    run = simulation_actions.create_run(
        instance,
        kind=draft.kind,
        plan=Plan(plan),
        body=body,
        to_url=to_url,
        count=simulation_runs.read_count(request.POST.get("count", "")),
        pause=simulation_runs.read_pause(request.POST.get("pause", "")),
        acting_user=current_user(request),
    )
    return {"run": simulation_runs.show_run(run)}


def send_hook(
    request: HttpRequest, instance: Instance, *, kind: Kind, body: bytes, to_url: str
) -> dict[str, Any]:
    """Send these bytes now; returns the context of the result. Raises NotSent."""
    hook = simulation_actions.send_now(
        instance, kind=kind, body=body, to_url=to_url, acting_user=current_user(request)
    )
    attempt = hook.attempts.get()
    return {
        "hook": hook,
        "shown": show(attempt, hook),
        "fixes": fixes_of(hook, instance, attempt),
    }
