"""Webhook Simulation: a hook made by hand and sent at once, with the verdict on the spot; or a run of several."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from accounts.current_user import current_user
from chatapi.ui.json_text import BadJson, compact
from chatapi.ui.requests import HtmxRequest
from hooks import webhook_urls
from hooks.actions.simulation import simulate
from hooks.models import Hook
from instances.models import Instance
from instances.pages import access, manual_request_limit
from instances.pages.chosen_instance import chosen_instance, require_changeable_instance, require_instance
from instances.pages.log.attempts import show
from testing_tools.simulation import actions as simulation_actions
from testing_tools.simulation import runs as simulation_runs
from testing_tools.simulation.drafts import Draft, about, first_draft, from_form, headers_to_be_sent, judged
from testing_tools.simulation.kinds import DRAWER, LARGE, What, fields_of, kind_of
from testing_tools.simulation.models import Plan
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.models import Bin

LAST = 20
PAGE = "testing_tools/simulation/simulation.html"


@require_safe
@login_required
def simulation(request: HttpRequest) -> HttpResponse:
    instance = chosen_instance(request)
    if instance is None:
        return render(request, PAGE, {"instance": None})
    url = url_of_address(instance, request.GET)
    run = simulation_runs.unfinished_run(instance)
    waiting = simulation_runs.show_run(run) if run else None
    context = page_context(instance, request.GET, url=url, run=waiting, stands_still=True)
    return render(request, PAGE, context)


def url_of_address(instance: Instance, given: QueryDict) -> str:
    """Where to, as the page's address says it: `to=bin`, `url=…`, or else the instance's own."""
    if given.get("to") == "bin" and (bin := Bin.objects.filter(instance=instance).first()):
        return bin.url
    return given.get("url", "").strip()[:2000] or instance.endpoint.effective_url()


def chosen_what(given: str | None) -> str:
    return given if given in What.values else What.MESSAGE


def page_context(instance: Instance, given: QueryDict, *, url: str, **more: Any) -> dict[str, Any]:
    """What the whole page shows; `given` is what was chosen on it, `more` overrides."""
    what = chosen_what(given.get("what"))
    draft = more.pop("draft", None) or first_draft(instance, what)
    plans = simulation_runs.plans_of(what)
    context = {
        "instance": instance,
        "what": what,
        "large": LARGE,
        "drawer": DRAWER,
        "plans": plans,
        "plan": given.get("plan") if given.get("plan") in plans else Plan.ONCE,
        "count": given.get("count", "3"),
        "pause": given.get("pause", "1"),
        "draft": draft,
        "headers": headers_to_be_sent(instance, b"{}"),
        "last": last_simulations(instance),
        "off": why_off(instance),
    }
    return context | address_context(instance, url) | more


def why_off(instance: Instance) -> str:
    """Why nothing can be sent, in words; empty: it can be."""
    if not instance.may_change:
        return "you are a viewer in this account"
    if instance.is_stopped:
        return "this instance is stopped"
    return "" if instance.is_paid else "this instance is not paid"


def last_simulations(instance: Instance) -> list[Hook]:
    return list(
        Hook.objects.filter(endpoint_id=instance.pk, simulated=True).defer("body").order_by("-pk")[:LAST]
    )


def address_context(instance: Instance, url: str) -> dict[str, Any]:
    """The address with its origin in words: `own`, `verification`, `bin`, `other` or `none`; or with its fault."""
    endpoint = instance.endpoint
    bin = Bin.objects.filter(instance=instance).first()
    fault = ""
    if not url:
        origin = "none"
    elif endpoint.is_borrowed() and url == endpoint.borrowed_url:
        origin = "verification"
    elif url == endpoint.url:
        origin = "own"
    elif bin is not None and url == bin.url:
        origin = "bin"
    else:
        origin = "other"
        try:
            webhook_urls.check(url)
        except webhook_urls.BadAddress as error:
            fault = str(error)
    return {"instance": instance, "endpoint": endpoint, "url": url, "origin": origin, "address_fault": fault}


def kept(response: HttpResponse, context: dict[str, Any], what: str) -> HttpResponse:
    """Says to htmx how the page's address is to read, so that it can be reloaded and sent to a colleague.

    An address with a query is not kept: it may hold somebody's key, and addresses stay in histories.
    """
    query = {"instance": str(context["instance"].number), "what": what}
    if context["origin"] == "bin":
        query["to"] = "bin"
    elif context["origin"] == "other" and not context["address_fault"] and not urlsplit(context["url"]).query:
        query["url"] = context["url"]
    response["HX-Replace-Url"] = f"{reverse('testing:simulation')}?{urlencode(query)}"
    return response


@require_POST
@login_required
def choose(request: HttpRequest) -> HttpResponse:
    """Another kind: its example; the address that was typed stays."""
    instance = require_instance(request)
    context = page_context(instance, request.POST, url=request.POST.get("url", "").strip())
    return kept(render(request, f"{PAGE}#form", context), context, context["what"])


@require_POST
@login_required
def write(request: HttpRequest) -> HttpResponse:
    """The form was changed: the JSON after it; 204 where it says so already, so that nobody's typing is replaced."""
    instance = require_instance(request)
    draft = changed_draft(request, instance)
    if draft.text == body_text(request):
        return HttpResponse(status=204)
    context: dict[str, Any] = {"instance": instance, "draft": draft}
    if request.headers.get("HX-Trigger-Name") == "group":  # the group has brought its name along
        context |= {"draft": judged(draft.what, draft.text), "with_fields": True}
    return render(request, f"{PAGE}#json", context)


def body_text(request: HttpRequest) -> str:
    return request.POST.get("body", "").replace("\r\n", "\n")


def changed_draft(request: HttpRequest, instance: Instance) -> Draft:
    what = chosen_what(request.POST.get("what"))
    names = [field.name for field in fields_of(what)]
    fields = {name: request.POST[name].replace("\r\n", "\n") for name in names if name in request.POST}
    return from_form(instance, what, body_text(request), fields)


@require_POST
@login_required
def read(request: HttpRequest) -> HttpResponse:
    """The JSON was changed: what is wrong with it, or the form after it."""
    instance = require_instance(request)
    draft = judged(chosen_what(request.POST.get("what")), body_text(request))
    return render(request, f"{PAGE}#read", {"instance": instance, "draft": draft})


@require_POST
@login_required
def address(request: HttpRequest) -> HttpResponse:
    """`use` = `bin` or `own` fills the address in; without it, the words under what was typed."""
    instance = require_instance(request)
    use, partial = request.POST.get("use"), "address"
    if use == "bin":
        url = bin_actions.open_bin(instance).url
    elif use == "own":
        url = instance.endpoint.effective_url()
    else:
        url, partial = request.POST.get("url", "").strip(), "origin"
    context = address_context(instance, url)
    return kept(render(request, f"{PAGE}#{partial}", context), context, chosen_what(request.POST.get("what")))


@require_POST
@login_required
def send(request: HtmxRequest) -> HttpResponse:
    """Sends what stands on the page; it takes as long as the endpoint does, 10 s at most.

    A run is only planned here, and sent by what its fragment asks for (views/simulation_runs.py).
    """
    instance = require_changeable_instance(request)
    what, url = chosen_what(request.POST.get("what")), request.POST.get("url", "").strip()
    context: dict[str, Any] = {"draft": judged(what, body_text(request))}
    try:
        context |= sent(request, instance, what, context["draft"], url)
    except (Refused, simulation_runs.BadRun, webhook_urls.BadAddress) as refusal:
        context["refusal"] = str(refusal)
    if request.htmx:
        return verdict(request, instance, context)
    return render(request, PAGE, page_context(instance, request.POST, url=url, **context))


def verdict(request: HttpRequest, instance: Instance, context: dict[str, Any]) -> HttpResponse:
    """What came of it, and below it the last simulations as they are now."""
    context |= {"instance": instance, "last": last_simulations(instance)}
    return render(request, f"{PAGE}#verdict", context)


@require_POST
@login_required
def again(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Sends a simulated hook once more, as a new one: the same bytes to the same address."""
    visible = Hook.objects.of_instances(Instance.objects.visible_to(request.user)).filter(simulated=True)
    before = get_object_or_404(visible.select_related("endpoint__instance"), public_id=public_id)
    instance = before.endpoint.instance
    access.require_change(request.user, instance)
    context: dict[str, Any] = {}
    try:
        if before.body_dropped_at is not None:
            raise Refused("Its body was dropped by age, so it can't be sent again.")
        context |= deliver(request, instance, kind=before.kind, body=bytes(before.body), url=before.to_url)
    except Refused as refusal:
        context["refusal"] = str(refusal)
    return verdict(request, instance, context)


class Refused(ValueError):
    """It was not sent; str() says why."""


def sent(request: HttpRequest, instance: Instance, what: str, draft: Draft, url: str) -> dict[str, Any]:
    """Checks the draft and sends it, or plans the run. Raises Refused, BadRun and addresses.BadAddress."""
    if draft.fault:
        raise Refused(f"The JSON can't be sent. {draft.fault}")
    try:
        body = compact(draft.text)
    except BadJson as error:
        raise Refused(str(error)) from None
    url = webhook_urls.check(url)
    plan = request.POST.get("plan", Plan.ONCE)
    if plan not in Plan.values or plan == Plan.ONCE:
        return deliver(request, instance, kind=kind_of(what), body=body, url=url)
    must_be_on(instance)
    run = simulation_actions.create_run(
        instance,
        what=what,
        plan=Plan(plan),
        body=body,
        to_url=url,
        count=simulation_runs.read_count(request.POST.get("count", "")),
        pause=simulation_runs.read_pause(request.POST.get("pause", "")),
        acting_user=current_user(request),
    )
    return {"run": simulation_runs.show_run(run)}


def must_be_on(instance: Instance) -> None:
    """Raises Refused."""
    if off := why_off(instance):
        raise Refused(f"{off[0].upper()}{off[1:]}, so nothing can be simulated with it.")


def deliver(request: HttpRequest, instance: Instance, *, kind: Any, body: bytes, url: str) -> dict[str, Any]:
    """Sends these bytes at once; what the verdict shows of it. Raises Refused."""
    must_be_on(instance)
    try:
        with manual_request_limit.place(request.user):
            hook = simulate(
                instance.endpoint,
                kind=kind,
                body=body,
                to_url=url,
                acting_user=current_user(request),
                **about(body),
            )
    except manual_request_limit.TooMany as error:
        raise Refused(str(error)) from None
    return {"hook": hook, "shown": show(hook.attempts.get(), hook)}
