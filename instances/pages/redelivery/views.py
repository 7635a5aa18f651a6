"""Resending many hooks: a count first, then the job's page with its progress."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hooks.actions import redelivery
from hooks.actions.hooks import NotPossible
from hooks.log import selection
from hooks.log.counts import MAX_COUNT
from hooks.models import OPEN_JOBS, Endpoint, Hook, JobState, Redelivery, RedeliveryQuerySet
from instances.models import Instance
from instances.models.instances import InstanceQuerySet
from instances.pages import access
from instances.pages.chosen_instance import require_changeable_instance
from instances.pages.frame import InstanceFrame
from instances.pages.log.endpoint_names import LogEndpoints
from instances.pages.log.filters import TIMES, Filters, input_value
from instances.pages.log.scope import require_scope, scope_of

JOBS_SHOWN = 50
OPEN_JOBS_SHOWN = 3
SELECTED_MAX = 100  # rows that can be selected: two pages of the log
TIME_KEYS = {"from": "created_after", "to": "created_before"}


def queryset_of(instance: Instance) -> Any:
    """The instance as a queryset: the actions resend only its hooks."""
    return Instance.objects.filter(pk=instance.pk)


def visible_jobs(request: HttpRequest) -> RedeliveryQuerySet:
    return Redelivery.objects.of_instances(Instance.objects.visible_to(request.user)).with_totals()


def open_jobs(request: HttpRequest, instances: InstanceQuerySet) -> list[dict[str, Any]]:
    """The newest jobs of these instances that are not finished, for the log."""
    found = visible_jobs(request).of_instances(instances).filter(state__in=OPEN_JOBS)
    return [job_context(job) for job in found.order_by("-pk")[:OPEN_JOBS_SHOWN]]


def read_filters(given: QueryDict, instance: Instance) -> tuple[Filters, selection.Filter, list[str]]:
    """The log's filters, the same as a job keeps them, and the names of the invalid ones."""
    filters = Filters.from_query(given)
    filters.endpoint_ids(instance.endpoint.sibling_ids)  # another instance's endpoint is invalid
    invalid = list(filters.ignored)
    try:
        return filters, filters.selection_for_job(), invalid
    except ValueError as name:  # without this filter the job would resend more than was meant
        return filters, {"hooks": []}, [*invalid, str(name)]


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new(request: HttpRequest) -> HttpResponse:
    """How many hooks match the log's filters and a period; POST creates the job."""
    instance = require_changeable_instance(request)
    filters, selected, invalid = read_filters(request.GET, instance)
    if request.method == "POST" and not invalid:
        # The form has the times that were counted; "the last hour" would have moved on.
        _, selected, invalid = read_filters(request.POST, instance)
        if not invalid:
            query = {"instance": str(instance.number)}
            return create_job(request, queryset_of(instance), selected, query)
    counted = redelivery.preview(queryset_of(instance), selected)
    endpoints = LogEndpoints(instance)
    context = {
        "instance": instance,
        "endpoints": endpoints,
        "paused": endpoints.paused(filters.endpoint_ids(instance.endpoint.sibling_ids)),
        "filters": filters,
        "invalid": invalid,
        "words": selection.describe(selected),
        "preview": counted,
        "can_resend": (counted.ready or counted.more) and not invalid,
        "counted_max": MAX_COUNT,
        "kept": [
            (name, value) for name, value in filters.values.items() if name not in ("period", *TIMES)
        ],  # a period is kept as the time at which it starts
        "since": selected.get("created_after", ""),
        "until": selected.get("created_before", ""),
        "typed": {name: input_value(selected.get(key, "")) for name, key in TIME_KEYS.items()},
        "back": filters.query(instance=str(instance.number)),
    }
    return render(request, "instances/pages/redelivery/redeliver.html", context)


@require_POST
@login_required
def create_from_selected(request: HttpRequest) -> HttpResponse:
    """Resends the rows selected in the log: `hook`, one public id each, of the instances that the user may change.

    One job for each account.

    403 for a viewer of the instance, or of all instances of the hooks.
    """
    scope = require_scope(request)
    if scope.instance is not None:
        require_changeable_instance(request)
    try:
        ids = [UUID(value).hex for value in request.POST.getlist("hook")[:SELECTED_MAX]]
    except ValueError:
        return HttpResponse("`hook` must be the id of a hook.", status=400, content_type="text/plain")
    if not ids:
        messages.warning(request, "No hooks selected. Select the hooks to resend.")
        return redirect_to_log(scope.query)
    endpoints = Hook.objects.of_instances(scope.instances).filter(public_id__in=ids).values("endpoint")
    of_hooks = Endpoint.objects.filter(pk__in=endpoints).values("instance")
    changeable = Instance.objects.changeable_by(request.user).filter(pk__in=of_hooks)
    if of_hooks and not changeable:
        raise PermissionDenied(access.VIEWER)
    accounts = {instance.owner_id for instance in changeable}
    if len(accounts) <= 1:
        return create_job(request, changeable, {"hooks": ids}, scope.query)
    return create_job_of_each(request, [changeable.filter(owner=key) for key in sorted(accounts)], ids)


def create_job_of_each(
    request: HttpRequest, accounts: list[InstanceQuerySet], ids: list[str]
) -> HttpResponse:
    """Creates a job for each account's instances, and redirects to the jobs.

    Members of an account see all of its jobs, and its audit log names them: a job of two accounts would show members
    of one the instances of the other.
    """
    refusals = []
    for instances in accounts:
        own = Hook.objects.of_instances(instances).filter(public_id__in=ids)
        selected: selection.Filter = {"hooks": [key.hex for key in own.values_list("public_id", flat=True)]}
        try:
            redelivery.plan(instances, wanted=selected, acting_user=request.user)
        except NotPossible as reason:
            refusals.append(str(reason))
    for sentence in set(refusals):
        messages.error(request, sentence)
    return redirect_to_log({}) if len(refusals) == len(accounts) else redirect("log:redeliveries")


def create_job(
    request: HttpRequest, instances: Any, selected: selection.Filter, query: dict[str, str]
) -> HttpResponse:
    """Creates the job and redirects to it; without one, to the log with this query."""
    try:
        job = redelivery.plan(instances, wanted=selected, acting_user=request.user)
    except redelivery.AlreadyPlanned as found:
        return redirect_to_open_job(request, found.job)
    except NotPossible as reason:
        messages.error(request, str(reason))
        return redirect_to_log(query)
    return redirect("log:redelivery", job.public_id)


def redirect_to_open_job(request: HttpRequest, job: Redelivery) -> HttpResponse:
    """Redirects to the job that resends these hooks already, such as after a second click."""
    messages.info(request, "This job resends these hooks already.")
    return redirect("log:redelivery", job.public_id)


def redirect_to_log(query: dict[str, str]) -> HttpResponse:
    response = redirect("log:list")
    if query:
        response["Location"] += f"?{urlencode(query)}"
    return response


@require_safe
@login_required
def job_list(request: HttpRequest) -> HttpResponse:
    scope = scope_of(request)
    instance = scope.instance if scope else None
    found = visible_jobs(request).with_results().order_by("-pk")
    if instance is not None:
        found = found.of_instances(queryset_of(instance))
    context = {"instance": instance, "jobs": [job_context(job) for job in found[:JOBS_SHOWN]]}
    return render(request, "instances/pages/redelivery/redeliveries.html", context)


def job_context(job: Any) -> dict[str, Any]:
    """A job with its selection in words and its progress; `job` has its totals."""
    processed = job.done + job.refused
    # Hooks that matched when the job was planned and not when their turn came.
    no_longer_matching = job.planned - processed if job.state == JobState.FINISHED else 0
    return {
        "job": job,
        "planned": intcomma(job.planned) + ("+" if job.planned_is_minimum else ""),
        "words": selection.describe(job.filter),
        "percent": 100 * min(processed, job.planned) // job.planned if job.planned else 100,
        "not_resent": max(no_longer_matching, 0) + job.refused,
        "cursor": f"{job.state}:{job.done}:{job.refused}",
    }


@require_safe
@login_required
def job(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One job; with `?seen=` only its live part, or 204 if the page shows its current state."""
    found = get_object_or_404(visible_jobs(request).with_results(), public_id=public_id)
    states = redelivery.outcomes(found)
    progress = job_context(found)
    context: dict[str, Any] = progress | {"progress": progress}
    context["states"] = [(state, count) for state, count in states.items() if count]
    context["cursor"] += ":" + ".".join(str(count) for count in states.values())
    context["settled"] = not any(states[state] for state in ("queued", "sending", "retrying"))
    context["parts"] = found.parts.select_related("endpoint__instance").order_by("pk")[:JOBS_SHOWN]
    context["paused_lanes"] = [part.endpoint for part in context["parts"] if part.endpoint.paused_at]
    context["instance"] = context["parts"][0].endpoint.instance
    access.may_change(request.user, context["instance"])
    InstanceFrame.of(request).show(context["instance"])
    if "seen" in request.GET:
        if request.GET["seen"] == context["cursor"]:
            return HttpResponse(status=204)
        return render(request, "instances/pages/redelivery/redelivery.html#live", context)
    return render(request, "instances/pages/redelivery/redelivery.html", context)


ACTIONS = {
    "pause": (redelivery.pause, "The job is paused."),
    "resume": (redelivery.resume, "The job is resumed."),
    "cancel": (redelivery.cancel, "The job is cancelled. Hooks not yet resent stay unchanged."),
}


@require_POST
@login_required
def act(request: HttpRequest, public_id: UUID, action: str) -> HttpResponse:
    """One of ACTIONS, then a redirect to the job's page. 403 unless the user may change every instance of the job."""
    found = get_object_or_404(visible_jobs(request), public_id=public_id)
    for part in found.parts.select_related("endpoint__instance"):
        access.require_change(request.user, part.endpoint.instance)
    change, done = ACTIONS[action]
    try:
        change(found, acting_user=request.user)
    except NotPossible as reason:  # its state changed after the page was rendered
        messages.error(request, str(reason))
    else:
        messages.success(request, done)
    return redirect("log:redelivery", public_id)
