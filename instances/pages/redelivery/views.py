"""Sending many hooks again: count before, confirm, and the job's page with its progress."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hooks.actions import redelivery
from hooks.actions.hooks import NotPossible
from hooks.log import selection
from hooks.models import JobState, Redelivery, RedeliveryQuerySet
from instances.models import Instance
from instances.pages import access
from instances.pages.chosen_instance import chosen_instance, require_changeable_instance
from instances.pages.log.filters import MOMENTS, Filters, as_typed

JOBS_SHOWN = 50
CHOSEN_MOST = 100  # rows that may be ticked: two pages of the log
PERIOD = {"from": "created_after", "to": "created_before"}


def one(instance: Instance) -> Any:
    """The instance as a queryset: whose hooks may be touched."""
    return Instance.objects.filter(pk=instance.pk)


def jobs_of(request: HttpRequest) -> RedeliveryQuerySet:
    return Redelivery.objects.of_instances(Instance.objects.visible_to(request.user)).with_totals()


def wanted_of(given: QueryDict) -> tuple[Filters, selection.Filter, list[str]]:
    """The log's filters out of the address: as the log knows them, as a job keeps them, what was wrong."""
    filters = Filters.of(given)
    wrong = list(filters.dropped)
    try:
        return filters, filters.as_selection(), wrong
    except ValueError as name:  # a filter that no job can keep: without it, it would send more than is meant
        return filters, {"hooks": []}, [*wrong, str(name)]


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new(request: HttpRequest) -> HttpResponse:
    """The count before, for the log's filters and a period; POST makes the job."""
    instance = require_changeable_instance(request)
    filters, wanted, wrong = wanted_of(request.GET)
    if request.method == "POST" and not wrong:
        # what the page has counted, not what "the last hour" has become since
        _, wanted, wrong = wanted_of(request.POST)
        if not wrong:
            return make(request, instance, wanted)
    context = {
        "instance": instance,
        "filters": filters,
        "wrong": wrong,
        "words": selection.describe(wanted),
        "preview": redelivery.preview(one(instance), wanted),
        "kept": [
            (name, value) for name, value in filters.values.items() if name not in ("period", *MOMENTS)
        ],  # the period as the moment that it means
        "since": wanted.get("created_after", ""),
        "until": wanted.get("created_before", ""),
        "typed": {name: as_typed(wanted.get(key, "")) for name, key in PERIOD.items()},
        "back": filters.query(instance=str(instance.number)),
    }
    return render(request, "instances/pages/redelivery/redeliver.html", context)


@require_POST
@login_required
def chosen(request: HttpRequest) -> HttpResponse:
    """The rows that were ticked in the log, as `hook`, one public id each."""
    instance = require_changeable_instance(request)
    try:
        ids = [UUID(value).hex for value in request.POST.getlist("hook")[:CHOSEN_MOST]]
    except ValueError:
        return HttpResponse("hook takes ids of hooks.", status=400, content_type="text/plain")
    if not ids:
        messages.warning(request, "Nothing was chosen: tick the hooks that are to be sent again.")
        return redirect_to_log(instance)
    return make(request, instance, {"hooks": ids})


def make(request: HttpRequest, instance: Instance, wanted: selection.Filter) -> HttpResponse:
    try:
        job = redelivery.plan(one(instance), wanted, acting_user=request.user)
    except NotPossible as reason:
        messages.error(request, str(reason))
        return redirect_to_log(instance)
    return redirect("log:redelivery", job.public_id)


def redirect_to_log(instance: Instance) -> HttpResponse:
    response = redirect("log:list")
    response["Location"] += f"?instance={instance.number}"
    return response


@require_safe
@login_required
def job_list(request: HttpRequest) -> HttpResponse:
    instance = chosen_instance(request)
    found = jobs_of(request).order_by("-pk")
    if instance is not None:
        found = found.filter(parts__endpoint_id=instance.pk)
    jobs = [shown(job) for job in found[:JOBS_SHOWN]]
    return render(
        request, "instances/pages/redelivery/redeliveries.html", {"instance": instance, "jobs": jobs}
    )


def shown(job: Any) -> dict[str, Any]:
    """A job with what its page says beside its columns; `job` has its totals."""
    looked_at = job.done + job.refused
    gone = job.planned - looked_at if job.state == JobState.FINISHED else 0
    return {
        "job": job,
        "words": selection.describe(job.filter),
        "percent": 100 * min(looked_at, job.planned) // job.planned if job.planned else 100,
        "gone": max(gone, 0) + job.refused,
        "cursor": f"{job.state}:{job.done}:{job.refused}",
    }


@require_safe
@login_required
def job(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One job; with `?seen=` only its live part, and 204 while that is what the page shows."""
    found = get_object_or_404(jobs_of(request), public_id=public_id)
    states = redelivery.outcomes(found)
    progress = shown(found)
    context: dict[str, Any] = progress | {"progress": progress}
    context["states"] = [(state, count) for state, count in states.items() if count]
    context["cursor"] += ":" + ".".join(str(count) for count in states.values())
    context["settled"] = not any(states[state] for state in ("queued", "sending", "retrying"))
    context["parts"] = found.parts.select_related("endpoint__instance").order_by("pk")[:JOBS_SHOWN]
    context["paused_lanes"] = [part.endpoint for part in context["parts"] if part.endpoint.paused_at]
    context["instance"] = context["parts"][0].endpoint.instance
    access.may_change(request.user, context["instance"])
    if "seen" in request.GET:
        if request.GET["seen"] == context["cursor"]:
            return HttpResponse(status=204)
        return render(request, "instances/pages/redelivery/redelivery.html#live", context)
    return render(request, "instances/pages/redelivery/redelivery.html", context)


ACTIONS = {
    "pause": (redelivery.pause, "The job is paused."),
    "resume": (redelivery.resume, "The job goes on."),
    "cancel": (
        redelivery.cancel,
        "The job is cancelled; the hooks that it had not come to stay as they were.",
    ),
}


@require_POST
@login_required
def act(request: HttpRequest, public_id: UUID, action: str) -> HttpResponse:
    found = get_object_or_404(jobs_of(request), public_id=public_id)
    for part in found.parts.select_related("endpoint__instance"):
        access.require_change(request.user, part.endpoint.instance)
    change, done = ACTIONS[action]
    try:
        change(found, acting_user=request.user)
    except NotPossible as reason:  # it went on since the page was drawn
        messages.error(request, str(reason))
    else:
        messages.success(request, done)
    return redirect("log:redelivery", public_id)
