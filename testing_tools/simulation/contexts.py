"""The contexts of Webhook Simulation's templates, and a URL of the page that can be reloaded and shared."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from hooks.models import Hook
from hooks.urls import webhook_urls
from instances.models import Instance
from instances.pages.log.row_words import describe_rows, with_last_url
from testing_tools.simulation import runs as simulation_runs
from testing_tools.simulation.actions import why_blocked
from testing_tools.simulation.drafts import example_draft, preview_headers
from testing_tools.simulation.kinds import MAIN_KINDS, MORE_KINDS, SimulationKind
from testing_tools.simulation.models import Plan
from testing_tools.verification.models import Bin

SHOWN_SIMULATIONS = 20


def chosen_kind(given: str | None) -> str:
    return given if given in SimulationKind.values else SimulationKind.MESSAGE


def body_text(request: HttpRequest) -> str:
    """Returns the JSON of the form; browsers send its line breaks as CRLF."""
    return request.POST.get("body", "").replace("\r\n", "\n")


def page_context(instance: Instance, given: QueryDict, *, url: str, **more: Any) -> dict[str, Any]:
    """Returns the context of the whole page. `given` has the values chosen on it; `more` overrides."""
    kind = chosen_kind(given.get("what"))
    plans = simulation_runs.plans_of(kind)
    context = {
        "instance": instance,
        "kind": kind,
        "main_kinds": MAIN_KINDS,
        "more_kinds": MORE_KINDS,
        "is_main_kind": kind in [main for main, _, _ in MAIN_KINDS],
        "plans": plans,
        "plan": given.get("plan") if given.get("plan") in plans else Plan.ONCE,
        "count": given.get("count", "3"),
        "pause": given.get("pause", "1"),
        "draft": more.pop("draft", None) or example_draft(instance, kind),
        "headers": preview_headers(instance, b"{}"),
        "recent": recent_simulations(instance),
        "blocked_because": blocked_because(instance),
    }
    return context | destination_context(instance, url) | more


def blocked_because(instance: Instance) -> str:
    """Returns why no hook can be sent; "" if one can."""
    return why_blocked(instance) if instance.may_change else "you are a viewer in this account"


def recent_simulations(instance: Instance) -> list[Hook]:
    simulated = Hook.objects.of_first_endpoint(instance.pk).filter(simulated=True)
    found = list(with_last_url(simulated).order_by("-pk")[:SHOWN_SIMULATIONS])
    describe_rows(found)
    for hook in found:
        hook.shown_endpoint = instance.endpoint  # type: ignore[attr-defined]  # for log/row.html
    return found


def destination_context(instance: Instance, url: str) -> dict[str, Any]:
    """Returns the context of the destination: its `origin` is `own`, `verification`, `bin`, `other` or `none`."""
    endpoint = instance.endpoint
    bin = Bin.objects.filter(instance=instance).first()
    url_error = ""
    if not url:
        origin = "none"
    elif endpoint.is_overridden() and url == endpoint.override_url:
        origin = "verification"
    elif url == endpoint.url:
        origin = "own"
    elif bin is not None and url == bin.url:
        origin = "bin"
    else:
        origin = "other"
        try:
            webhook_urls.check(url)
        except webhook_urls.InvalidUrl as error:
            url_error = str(error)
    return {"instance": instance, "endpoint": endpoint, "url": url, "origin": origin, "url_error": url_error}


def replace_url(response: HttpResponse, context: dict[str, Any], kind: str) -> HttpResponse:
    """Let htmx show the URL of this state, so that the page can be reloaded and shared.

    A destination with a query is omitted: it can contain a key, and URLs stay in the browser's history.
    """
    query = {"instance": str(context["instance"].number), "what": kind}
    if context["origin"] == "bin":
        query["to"] = "bin"
    elif context["origin"] == "other" and not context["url_error"] and not urlsplit(context["url"]).query:
        query["url"] = context["url"]
    response["HX-Replace-Url"] = f"{reverse('testing:simulation')}?{urlencode(query)}"
    return response
