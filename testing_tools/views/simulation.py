"""Webhook Simulation: one hook, made by hand and sent at once, with the verdict on the spot."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from hooks import actions, addresses
from hooks.models import Hook
from instances import access
from instances.models import Instance
from testing_tools import bins
from testing_tools.attempts import show
from testing_tools.json_text import BadJson, compact
from testing_tools.models import Bin
from testing_tools.simulations import (
    FIELDS,
    Draft,
    What,
    about,
    family,
    first_draft,
    from_form,
    headers_to_be_sent,
    judged,
    kind_of,
)
from testing_tools.views.chosen import chosen_instance, must_change, must_choose

LAST = 20
PAGE = "testing/simulation.html"


@require_safe
@login_required
def simulation(request: HttpRequest) -> HttpResponse:
    instance = chosen_instance(request)
    if instance is None:
        return render(request, PAGE, {"instance": None})
    return render(request, PAGE, page_context(instance, chosen_what(request.GET.get("what"))))


def chosen_what(given: str | None) -> str:
    return given if given in What.values else What.MESSAGE


def page_context(instance: Instance, what: str, **more: Any) -> dict[str, Any]:
    """What the whole page shows; `more` overrides."""
    draft = more.pop("draft", None) or first_draft(instance, what)
    url = more.pop("url", None)
    context = {
        "instance": instance,
        "what": what,
        "whats": What,
        "draft": draft,
        "headers": headers_to_be_sent(instance, b"{}"),
        "last": last_simulations(instance),
    }
    return (
        context | address_context(instance, instance.endpoint.effective_url() if url is None else url) | more
    )


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
            addresses.check(url)
        except addresses.BadAddress as error:
            fault = str(error)
    return {"instance": instance, "endpoint": endpoint, "url": url, "origin": origin, "address_fault": fault}


@require_POST
@login_required
def choose(request: HttpRequest) -> HttpResponse:
    """Another kind: its example; the address that was typed stays."""
    instance = must_choose(request)
    what = chosen_what(request.POST.get("what"))
    return render(
        request, f"{PAGE}#form", page_context(instance, what, url=request.POST.get("url", "").strip())
    )


@require_POST
@login_required
def write(request: HttpRequest) -> HttpResponse:
    """The form was changed: the JSON after it; 204 where it says so already, so that nobody's typing is replaced."""
    instance = must_choose(request)
    draft = changed_draft(request, instance)
    if draft.text == request.POST.get("body", "").replace("\r\n", "\n"):
        return HttpResponse(status=204)
    return render(request, f"{PAGE}#json", {"instance": instance, "draft": draft})


def changed_draft(request: HttpRequest, instance: Instance) -> Draft:
    what = chosen_what(request.POST.get("what"))
    names = [field.name for field in FIELDS[family(what)]]
    fields = {name: request.POST[name] for name in names if name in request.POST}
    return from_form(instance, what, request.POST.get("body", ""), fields)


@require_POST
@login_required
def read(request: HttpRequest) -> HttpResponse:
    """The JSON was changed: what is wrong with it, or the form after it."""
    instance = must_choose(request)
    draft = judged(chosen_what(request.POST.get("what")), request.POST.get("body", ""))
    return render(request, f"{PAGE}#read", {"instance": instance, "draft": draft})


@require_POST
@login_required
def address(request: HttpRequest) -> HttpResponse:
    """`use` = `bin` or `own` fills the address in; without it, the words under what was typed."""
    instance = must_choose(request)
    use = request.POST.get("use")
    if use == "bin":
        return render(request, f"{PAGE}#address", address_context(instance, bins.open_bin(instance).url))
    if use == "own":
        return render(
            request, f"{PAGE}#address", address_context(instance, instance.endpoint.effective_url())
        )
    typed = request.POST.get("url", "").strip()
    return render(request, f"{PAGE}#origin", address_context(instance, typed))


@require_POST
@login_required
def send(request: HttpRequest) -> HttpResponse:
    """Sends what stands on the page; it takes as long as the endpoint does, 10 s at most."""
    instance = must_change(request)
    what, text = chosen_what(request.POST.get("what")), request.POST.get("body", "")
    url = request.POST.get("url", "").strip()
    context: dict[str, Any] = {"draft": judged(what, text), "url": url}
    try:
        context |= sent(request, instance, what, judged(what, text), url)
    except Refused as refusal:
        context["refusal"] = str(refusal)
    if request.htmx:  # type: ignore[attr-defined]
        context |= {"instance": instance, "last": last_simulations(instance)}
        return render(request, f"{PAGE}#verdict", context)
    return render(request, PAGE, page_context(instance, what, **context))


@require_POST
@login_required
def again(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Sends a simulated hook once more, as a new one: the same bytes to the same address."""
    visible = Hook.objects.of_instances(Instance.objects.visible_to(request.user)).filter(simulated=True)
    before = get_object_or_404(visible.select_related("endpoint__instance"), public_id=public_id)
    instance = before.endpoint.instance
    access.must_change(request.user, instance)
    context: dict[str, Any] = {"instance": instance}
    try:
        context |= deliver(request, instance, kind=before.kind, body=bytes(before.body), url=before.to_url)
    except Refused as refusal:
        context["refusal"] = str(refusal)
    context["last"] = last_simulations(instance)
    return render(request, f"{PAGE}#verdict", context)


class Refused(ValueError):
    """It was not sent; str() says why."""


def sent(request: HttpRequest, instance: Instance, what: str, draft: Draft, url: str) -> dict[str, Any]:
    """Checks the draft and sends it. Raises Refused."""
    if draft.fault:
        raise Refused(f"The JSON can't be sent. {draft.fault}")
    try:
        body = compact(draft.text)
        return deliver(request, instance, kind=kind_of(what), body=body, url=addresses.check(url))
    except (BadJson, addresses.BadAddress) as error:
        raise Refused(str(error)) from None


def deliver(request: HttpRequest, instance: Instance, *, kind: Any, body: bytes, url: str) -> dict[str, Any]:
    """Sends these bytes at once; what the verdict shows of it. Raises Refused."""
    if instance.is_stopped:
        raise Refused("This instance is stopped, so nothing can be simulated with it.")
    if not instance.is_paid:
        raise Refused("This instance is not paid, so nothing can be simulated with it.")
    hook = actions.simulate(
        instance.endpoint, kind=kind, body=body, to_url=url, actor=request.user, **about(body)
    )
    return {"hook": hook, "shown": show(hook.attempts.get(), hook)}
