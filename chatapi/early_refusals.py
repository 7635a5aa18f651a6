"""Responses that need no body: the web server asks for them while a body is still on its way.

Each function gets a request without its body, and returns the response that refuses it, or None. A request that
passes is checked again by its view. It may set `request.max_body_bytes`, to read less than the kind of URL allows.
"""

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import Resolver404, resolve
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from accounts.sessions import SessionStore
from chatapi.ui.numbers import parse_digits
from instances.api.authentication import AccountKeyAuthentication
from instances.api.errors import handle_exception
from instances.callbacks.views import find_link, unknown_callback
from instances.contract import views as contract
from testing_tools.verification import intake
from testing_tools.verification.models import Bin
from testing_tools.verification.views.receive import unknown_bin

# The forms that need no session (sign-in, sign-up) are shorter.
MAX_BYTES_WITHOUT_SESSION = 256 * 1024


def for_bin(request: HttpRequest) -> HttpResponse | None:
    """404 for a bin that does not exist, 429 if it or the client has sent too much in this minute."""
    key = url_arguments(request).get("key")
    if not key:
        return None
    return intake.refuse(request, key) if Bin.objects.filter(key=key).exists() else unknown_bin()


def for_contract(request: HttpRequest) -> HttpResponse | None:
    """404 for an unknown method or instance, 401 for a wrong token, 429 for too many of them, 402 if unpaid."""
    found = url_arguments(request)
    name = found.get("name", "").strip("/")
    return contract.refuse_early(request, name, found.get("number")) if found else None


def for_rest(request: HttpRequest) -> HttpResponse | None:
    """401 for a missing or wrong key, 429 for too many of them."""
    authentication = AccountKeyAuthentication()
    asked = Request(request)
    try:
        authentication.authenticate(asked)
    except APIException as error:
        error.auth_header = authentication.authenticate_header(asked)  # type: ignore[attr-defined]
        response = handle_exception(error, {})
        refusal = JsonResponse(response.data, status=response.status_code)
        for name in {"WWW-Authenticate", "Retry-After"} & response.headers.keys():
            refusal[name] = response[name]
        return refusal
    return None


def for_callback(request: HttpRequest) -> HttpResponse | None:
    """404 for a secret that no instance has."""
    found = url_arguments(request)
    if found and find_link(found["channel"], found["secret"]):
        return None
    return unknown_callback()


def for_page(request: HttpRequest) -> HttpResponse | None:
    """413 for a long body, or one of unknown length, without a session."""
    length = parse_digits(request.META.get("CONTENT_LENGTH"))
    if length and length <= MAX_BYTES_WITHOUT_SESSION:
        return None
    cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if cookie and SESSION_KEY in SessionStore.from_cookie(cookie):
        return None
    sentence = f"Sign in to send more than {MAX_BYTES_WITHOUT_SESSION // 1024} KB."
    return JsonResponse({"error": sentence}, status=413)


def url_arguments(request: HttpRequest) -> dict[str, str]:
    """The arguments in the path; empty if no view has it."""
    try:
        return dict(resolve(request.path_info).kwargs)
    except Resolver404:
        return {}
