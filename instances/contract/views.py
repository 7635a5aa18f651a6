"""The view of the wire contract: finds the method and the instance, reads the arguments, and always responds in JSON.

No session, no CSRF, no redirect. Any origin may call, without credentials (contract.md §1).
"""

import json
import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from accounts.blocking import Blocked
from accounts.key_scopes import missing_scope
from accounts.quotas import QuotaExceeded
from chatapi.encryption.cipher import UNREADABLE, UnreadableSecret
from chatapi.ui.numbers import clean_number
from instances import loop_detection
from instances.contract import authentication, limits, requests
from instances.contract.arguments import single_value
from instances.contract.errors import (
    DATABASE_UNAVAILABLE,
    INTERNAL,
    NO_INSTANCE,
    NOT_PAID,
    WireError,
    instance_stopped,
    loop_detected,
    unknown_method,
    verb_not_allowed,
)
from instances.contract.registry import Method, Result, find_method
from instances.limits import login_throttle
from instances.models import Instance, StopReason

log = logging.getLogger(__name__)

VERBS = ("GET", "POST", "HEAD")


@csrf_exempt
def by_path(request: HttpRequest, number: str, name: str = "") -> HttpResponse:
    """`{site}/instance{ID}/{method}?token=T`."""
    return respond(request, name.strip("/"), number)


@csrf_exempt
def by_query(request: HttpRequest, name: str) -> HttpResponse:
    """`{site}/{method}?instanceId=ID&token=T`. A browser at an unknown page's URL gets the HTML 404 page."""
    if (
        find_method(name) is None
        and "text/html" in request.headers.get("Accept", "")
        and request.method in ("GET", "HEAD")
    ):
        query = request.META.get("QUERY_STRING", "").lower()
        if not any(name in query for name in ("token=", "instanceid=", "uid=")):
            raise Http404
    return respond(request, name, None)


def respond(request: HttpRequest, name: str, number: str | None) -> HttpResponse:
    """The method's result or its error as a JSON object, with CORS headers for every origin."""
    response = catch_errors(request, name, number, call_method)
    assert response is not None
    requests.discard_body(request)
    return response


def refuse_early(request: HttpRequest, name: str, number: str | None) -> HttpResponse | None:
    """The error of a call whose body has not arrived, if the body does not matter: a wrong token, for example."""
    return catch_errors(request, name, number, check_head)


def catch_errors(
    request: HttpRequest,
    name: str,
    number: str | None,
    call: Callable[[HttpRequest, str, str | None], HttpResponse | None],
) -> HttpResponse | None:
    """The response of `call`, or that of its error, with CORS headers."""
    try:
        response = call(request, name, number)
    except Blocked as error:
        response = json_response({"error": str(error)}, 403)
    except QuotaExceeded as error:
        response = json_response({"error": str(error)}, 409)
    except WireError as error:
        response = json_response(error.body, error.status)
        for header, value in error.headers.items():
            response.headers[header] = value
    except (OperationalError, InterfaceError) as error:
        log.warning(
            "The database was not available to the contract's method %s: %s",
            name,
            type(error).__name__,
        )
        response = json_response({"error": DATABASE_UNAVAILABLE}, 503)
        response.headers["Retry-After"] = "5"
    except UnreadableSecret as error:
        log.error("%s", error)
        response = json_response({"error": UNREADABLE}, 503)
    except Exception:  # clients of the contract can parse only JSON
        log.exception("The method %s of the wire contract failed", name)
        response = json_response({"error": INTERNAL}, 500)
    if response is None:
        return None
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "Retry-After"
    if request.method == "OPTIONS":
        requested = request.headers.get("Access-Control-Request-Headers", "Authorization, Content-Type")[
            :2000
        ]
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, HEAD, OPTIONS"
        response.headers["Access-Control-Allow-Headers"] = requested
        response.headers["Access-Control-Max-Age"] = "86400"
    return response


def call_method(request: HttpRequest, name: str, number: str | None) -> HttpResponse:
    """The method's response. Raises WireError."""
    method = check_method(request, name)
    if request.method == "OPTIONS":
        return json_response({})
    query = read_query(request, number)
    call = call_account_method if method.by_uid else call_instance_method
    result = call(request, method, query)
    return result if isinstance(result, HttpResponse) else json_response(result)


def check_head(request: HttpRequest, name: str, number: str | None) -> None:
    """Checks what a call's head decides. Raises WireError."""
    method = check_method(request, name)
    if request.method != "OPTIONS" and not method.by_uid:  # an account's key may be in the body
        check_instance(request, method, read_query(request, number), counts=False)
    if not method.accepts_files:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        request.max_body_bytes = limit  # type: ignore[attr-defined]  # for chatapi/early_refusals.py
        if requests.content_length(request) > limit:
            raise WireError(413, requests.TOO_LONG)


def check_method(request: HttpRequest, name: str) -> Method:
    """The method, unless it is unknown, the verb is wrong or the call is a hook of this site. Raises WireError."""
    method = find_method(name)
    if method is None:
        raise unknown_method(name)
    if request.method == "OPTIONS":
        return method
    if request.method not in VERBS:
        raise verb_not_allowed(str(request.method))
    if error := loop_detection.find_loop(request):
        raise loop_detected(error)
    return method


def read_query(request: HttpRequest, number: str | None) -> dict[str, Any]:
    """The query's arguments, with the instance's number of the path. Raises WireError."""
    query = requests.read_query(request)
    if number is not None:
        query["instanceid"] = number
    return query


def read_credentials(request: HttpRequest, query: dict[str, Any]) -> tuple[str, str]:
    """The instance's number and the token, as sent."""
    number = clean_number(str(single_value(query.get("instanceid", ""))))
    return number, authentication.read_token(request, query)


def check_instance(request: HttpRequest, method: Method, query: dict[str, Any], *, counts: bool) -> Instance:
    """The instance, if the token is its own and the method may be called; `counts` the call. Raises WireError."""
    number, token = read_credentials(request, query)
    instance = authentication.authenticate_instance(number, token, login_throttle.client_address(request))
    if counts:
        limits.count_instance_call(instance.number)
    if instance.is_stopped and (instance.stop_reason == StopReason.BLOCKED or not method.works_unpaid):
        raise instance_stopped(instance)
    if not instance.is_paid and not method.works_unpaid:
        raise WireError(402, NOT_PAID)
    return instance


def call_instance_method(request: HttpRequest, method: Method, query: dict[str, Any]) -> Result:
    """Calls a method of an instance. The body is read after the token was checked. Raises WireError."""
    body = requests.Body(request, accepts_files=method.accepts_files)
    recent = method.at_once and authentication.recent_credentials(*read_credentials(request, query))
    if recent:
        limits.count_instance_call(recent[0])
        if (result := call_at_once(method, recent, query, body)) is not None:
            return result
    instance = check_instance(request, method, query, counts=not recent)
    given = body.read()
    if error := loop_detection.find_loop_in_body(given):
        raise loop_detected(error)
    has_body = request.method == "POST" and requests.content_length(request) > 0
    try:
        return method.call(instance, query | given, has_body=has_body)
    except (ObjectDoesNotExist, IntegrityError):
        if Instance.objects.filter(pk=instance.pk).exists():
            raise
        raise WireError(404, NO_INSTANCE) from None  # deleted since its token was checked


def call_at_once(
    method: Method, credentials: tuple[int, str], query: dict[str, Any], body: requests.Body
) -> Result | None:
    """The result of the method's one statement. None, and nothing was done, if anything is unusual."""
    try:
        given = body.read()
    except WireError:
        return None  # its error comes after those of the token
    return (
        None if loop_detection.find_loop_in_body(given) else method.call_at_once(*credentials, query | given)
    )


def call_account_method(request: HttpRequest, method: Method, query: dict[str, Any]) -> Result:
    """Calls a method of an account. Its key may be in the body, which is read first. Raises WireError."""
    given = query | requests.read_body(request)
    key = authentication.authenticate_account(request, given, login_throttle.client_address(request))
    limits.count_account_call(key.account_id)
    if sentence := missing_scope(key, method.scopes):
        raise WireError(403, sentence)
    return method.call(key.account, given)


def json_response(data: dict[str, Any], status: int = 200) -> HttpResponse:
    """Compact JSON in UTF-8 without ASCII escapes. A lone surrogate, quoted from the request, becomes "?"."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return HttpResponse(text.encode(errors="replace"), status=status, content_type="application/json")
