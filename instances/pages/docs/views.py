"""The API docs pages: the wire contract with the reader's own token, and receivers ready to paste.

They are public; the chosen instance decides which token the lines contain.
"""

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chatapi.ui.requests import HtmxRequest
from instances.pages.chosen_instance import chosen_instance
from instances.pages.docs import hooks as docs_hooks
from instances.pages.docs import limits, methods, receivers
from instances.pages.docs.credentials import NO_TOKEN, Opener, opener_of
from instances.pages.docs.methods import fits

CONTRACT = "instances/pages/docs/contract.html"
QUERY_MOST = 100  # characters


@require_safe
@never_cache  # it holds the token
def contract(request: HtmxRequest) -> HttpResponse:
    """All of it, or what fits `?q=`; htmx gets that part alone."""
    instance = chosen_instance(request) if request.user.is_authenticated else None
    opener = opener_of(instance)
    query = request.GET.get("q", "").replace("\x00", "").strip()[:QUERY_MOST]
    words = query.lower().split()
    context: dict[str, Any] = {
        "docs_instance": instance,
        "opener": opener,
        "forms": forms(opener),
        "query": query,
        "address": f"{settings.SITE_URL}{request.path}",
        "groups": [
            (group, [methods.shown(entry, opener) for entry in group.entries])
            for group in methods.find(query)
        ],
        "families": [
            family
            for family in docs_hooks.families(opener.number)
            if fits(f"hook {family.key} {family.title} {family.words} {family.body}".lower(), words)
        ],
        "headers": docs_hooks.HEADERS if not query else (),
        "faults": [
            fault
            for fault in limits.faults()
            if fits(f"error {fault.case} {fault.status} {fault.body}".lower(), words)
        ],
        "limits": [
            limit for limit in limits.limits() if fits(f"limit {limit.what} {limit.most}".lower(), words)
        ],
    }
    template = f"{CONTRACT}#found" if request.htmx else CONTRACT
    return render(request, template, context)


def forms(opener: Opener) -> str:
    """The three address forms of contract.md, section 1."""
    site = settings.SITE_URL
    return "\n".join(
        [
            f"{opener.api_url}status?token={NO_TOKEN}",
            f"{site}//instance{opener.number}//status/?token={NO_TOKEN}",
            f"{site}/status?instanceId={opener.number}&token={NO_TOKEN}",
        ]
    )


@require_safe
@never_cache
def receiver(request: HttpRequest, key: str = "") -> HttpResponse:
    """One receiver; without a name the first."""
    found = next((one for one in receivers.RECEIVERS if one.key == (key or "python")), None)
    if found is None:
        raise Http404("No such receiver.")
    instance = chosen_instance(request) if request.user.is_authenticated else None
    opener = opener_of(instance)
    context = {
        "docs_instance": instance,
        "opener": opener,
        "receiver": found,
        "filename": found.file.rpartition("/")[2],
        "receivers": receivers.RECEIVERS,
        "source": receivers.source(found),
        "start_shown": receivers.start_line(found, opener, shown=True),
        "start_copied": receivers.start_line(found, opener, shown=False),
    }
    return render(request, "instances/pages/docs/receivers.html", context)
