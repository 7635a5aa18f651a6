"""The one view of the wire contract: finds instance and method, reads the arguments, answers JSON, always.

No session, no CSRF, no redirect; any origin may call, without credentials (contract.md, section 1).
"""

import json
import logging
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from instances.contract import authentication, limits, requests
from instances.contract.errors import INTERNAL, NOT_PAID, WireError, unknown_method, verb_not_allowed
from instances.contract.registry import METHODS

log = logging.getLogger(__name__)

VERBS = ("GET", "POST", "HEAD")


@csrf_exempt
def by_path(request: HttpRequest, number: str, name: str = "") -> HttpResponse:
    """`{site}/instance{ID}/{method}?token=T`."""
    return answer(request, name.strip("/"), number)


@csrf_exempt
def by_query(request: HttpRequest, name: str) -> HttpResponse:
    """`{site}/{method}?instanceId=ID&token=T`. A person who mistyped a page's address gets a page's 404."""
    if (
        name not in METHODS
        and "text/html" in request.headers.get("Accept", "")
        and request.method in ("GET", "HEAD")
    ):
        named = {key.lower() for key in request.GET}
        if not named & {"token", "instanceid"}:
            raise Http404(name)
    return answer(request, name, None)


def answer(request: HttpRequest, name: str, number: str | None) -> HttpResponse:
    """The method's result or the error as a JSON object, with the headers that let any page read it."""
    try:
        response = call(request, name, number)
    except WireError as error:
        response = as_json(error.body, error.status)
        for header, value in error.headers.items():
            response.headers[header] = value
    except Exception:  # whatever it is, a client of the contract can read JSON alone
        log.exception("The method %s of the wire contract failed", name)
        response = as_json({"error": INTERNAL}, 500)
    requests.drain(request)
    response.headers["Access-Control-Allow-Origin"] = "*"
    if request.method == "OPTIONS":
        asked = request.headers.get("Access-Control-Request-Headers", "Authorization, Content-Type")
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, HEAD, OPTIONS"
        response.headers["Access-Control-Allow-Headers"] = asked
        response.headers["Access-Control-Max-Age"] = "86400"
    return response


def call(request: HttpRequest, name: str, number: str | None) -> HttpResponse:
    """The answer of the method. Raises WireError."""
    method = METHODS.get(name)
    if method is None:
        raise unknown_method(name)
    if request.method == "OPTIONS":
        return as_json({})
    if request.method not in VERBS:
        raise verb_not_allowed(str(request.method))
    query = requests.query_of(request)
    if number is None:
        number = str(query.get("instanceid", ""))
    instance = authentication.instance_of(number, authentication.token_of(request, query))
    limits.count(instance.pk)
    if not instance.is_paid and not method.unpaid:
        raise WireError(402, NOT_PAID)
    result = method.call(instance, query | requests.body_of(request))
    return result if isinstance(result, HttpResponse) else as_json(result)


def as_json(data: dict[str, Any], status: int = 200) -> HttpResponse:
    """Compact, in UTF-8 without ASCII escapes; half a surrogate pair, quoted from what came, becomes "?"."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return HttpResponse(text.encode(errors="replace"), status=status, content_type="application/json")
