"""The API docs pages: the wire contract with the reader's own token, REST, and receivers ready to paste.

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
from instances.pages.docs import rest as docs_rest
from instances.pages.docs.credentials import NO_KEY, NO_TOKEN, ShownCredentials, credentials_to_show
from instances.pages.docs.methods import contains_all
from instances.pages.query_parameters import search_text

CONTRACT = "instances/pages/docs/contract.html"
REST = "instances/pages/docs/rest.html"


@require_safe
@never_cache  # the page contains the token
def contract(request: HtmxRequest) -> HttpResponse:
    """The whole contract, or the parts that match `?q=`; htmx gets only these parts."""
    instance = chosen_instance(request) if request.user.is_authenticated else None
    credentials = credentials_to_show(instance)
    query = search_text(request)
    words = query.lower().split()
    context: dict[str, Any] = {
        "docs_instance": instance,
        "credentials": credentials,
        "forms": list_url_forms(credentials),
        "query": query,
        "address": f"{settings.SITE_URL}{request.path}",
        "groups": [
            (group, [methods.add_curl(entry, credentials) for entry in group.entries])
            for group in methods.find_methods(query)
        ],
        "families": [
            family
            for family in docs_hooks.build_families(credentials.number)
            if contains_all(
                f"hook {family.key} {family.title} {family.description} {family.body}".lower(), words
            )
        ],
        "headers": docs_hooks.HEADERS if not query else (),
        "errors": [
            error
            for error in limits.list_errors()
            if contains_all(f"error {error.case} {error.status} {error.body}".lower(), words)
        ],
        "limits": [
            limit
            for limit in limits.list_limits()
            if contains_all(f"limit {limit.subject} {limit.maximum}".lower(), words)
        ],
    }
    context["is_found"] = any(context[part] for part in ("groups", "families", "errors", "limits"))
    template = f"{CONTRACT}#found" if request.htmx else CONTRACT
    return render(request, template, context)


def list_url_forms(credentials: ShownCredentials) -> str:
    """Returns the three URL forms of contract.md, section 1, one per line."""
    site = settings.SITE_URL
    return "\n".join(
        [
            f"{credentials.api_url}status?token={NO_TOKEN}",
            f"{site}//instance{credentials.number}//status/?token={NO_TOKEN}",
            f"{site}/status?instanceId={credentials.number}&token={NO_TOKEN}",
        ]
    )


@require_safe
@never_cache
def rest(request: HtmxRequest) -> HttpResponse:
    """All operations of REST and all webhooks, or those that match `?q=`; htmx gets only these."""
    instance = chosen_instance(request) if request.user.is_authenticated else None
    query = search_text(request)
    number = credentials_to_show(instance).number
    groups = docs_rest.find_operations(query)
    webhooks = docs_rest.find_webhooks(query)
    reference = docs_rest.reference()
    context = {
        "docs_instance": instance,
        "query": query,
        "address": f"{settings.SITE_URL}{request.path}",
        "key": NO_KEY,
        "failures": reference.failures,
        "groups": [
            (group, [docs_rest.add_curl(operation, number) for operation in group.operations])
            for group in groups
        ],
        "webhooks": webhooks,
        "webhook_headers": reference.headers if not query else (),
        "webhook_statuses": reference.statuses if not query else (),
        "is_found": bool(groups or webhooks),
    }
    return render(request, f"{REST}#found" if request.htmx else REST, context)


@require_safe
@never_cache
def receiver(request: HttpRequest, key: str = "") -> HttpResponse:
    """The page of one receiver; without a key, of the one in Python."""
    found = next((each for each in receivers.RECEIVERS if each.key == (key or "python")), None)
    if found is None:
        raise Http404("No such receiver.")
    instance = chosen_instance(request) if request.user.is_authenticated else None
    credentials = credentials_to_show(instance)
    context = {
        "docs_instance": instance,
        "credentials": credentials,
        "receiver": found,
        "filename": found.file.rpartition("/")[2],
        "receivers": receivers.RECEIVERS,
        "source": receivers.read_source(found),
        "start_shown": receivers.build_start_command(found, credentials, shown=True),
        "start_copied": receivers.build_start_command(found, credentials, shown=False),
    }
    return render(request, "instances/pages/docs/receivers.html", context)
