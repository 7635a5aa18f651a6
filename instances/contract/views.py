"""The one view of the wire contract: finds instance and method, reads the arguments, answers JSON, always.

No session, no CSRF, no redirect; any origin may call, without credentials (contract.md, section 1).
"""

import json
import logging
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from accounts.blocking import Blocked
from instances import login_throttle
from instances.contract import authentication, limits, requests
from instances.contract.arguments import once
from instances.contract.errors import (
    AWAY,
    INTERNAL,
    NOT_PAID,
    WireError,
    stopped,
    unknown_method,
    verb_not_allowed,
)
from instances.contract.registry import METHODS, Method, Result
from instances.models import StopReason

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
        query = request.META.get("QUERY_STRING", "").lower()
        if not any(name in query for name in ("token=", "instanceid=", "uid=")):
            raise Http404
    return answer(request, name, None)


def answer(request: HttpRequest, name: str, number: str | None) -> HttpResponse:
    """The method's result or the error as a JSON object, with the headers that let any page read it."""
    try:
        response = call(request, name, number)
    except Blocked as error:
        response = as_json({"error": str(error)}, 403)
    except WireError as error:
        response = as_json(error.body, error.status)
        for header, value in error.headers.items():
            response.headers[header] = value
    except (OperationalError, InterfaceError) as error:
        log.warning("The method %s of the wire contract found no database: %s", name, type(error).__name__)
        response = as_json({"error": AWAY}, 503)
        response.headers["Retry-After"] = "5"
    except Exception:  # whatever it is, a client of the contract can read JSON alone
        log.exception("The method %s of the wire contract failed", name)
        response = as_json({"error": INTERNAL}, 500)
    requests.drain(request)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "Retry-After"
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
    if number is not None:
        query["instanceid"] = number
    given = of_account if method.by_uid else of_instance
    result = given(request, method, query)
    return result if isinstance(result, HttpResponse) else as_json(result)


def of_instance(request: HttpRequest, method: Method, query: dict[str, Any]) -> Result:
    """A method of an instance, which its token opens; the body is read when that is so. Raises WireError."""
    number = str(once(query.get("instanceid", "")))
    token = authentication.token_of(request, query)
    instance = authentication.instance_of(number, token, login_throttle.address_of(request))
    limits.count(instance.pk)
    if instance.is_stopped and (instance.stop_reason == StopReason.BLOCKED or not method.unpaid):
        raise stopped(instance)
    if not instance.is_paid and not method.unpaid:
        raise WireError(402, NOT_PAID)
    return method.call(instance, query | requests.body_of(request, large=method.large))


def of_account(request: HttpRequest, method: Method, query: dict[str, Any]) -> Result:
    """A method of an account, which its key opens; that may stand in the body as well. Raises WireError."""
    given = query | requests.body_of(request)
    account = authentication.account_of(request, given, login_throttle.address_of(request))
    limits.count_of_account(account.pk)
    return method.call(account, given)


def as_json(data: dict[str, Any], status: int = 200) -> HttpResponse:
    """Compact, in UTF-8 without ASCII escapes; half a surrogate pair, quoted from what came, becomes "?"."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return HttpResponse(text.encode(errors="replace"), status=status, content_type="application/json")
