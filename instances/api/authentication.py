"""Authenticates REST calls by `Authorization: Bearer <account key>`."""

from typing import TYPE_CHECKING, Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts.actions.keys import authenticate_key
from accounts.models import Account, User
from hooks import own_hooks
from instances import loop_detection
from instances.limits import login_throttle

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema

WRONG_KEY = (
    "Wrong account key. Send your account's key as “Authorization: Bearer uid_…”; "
    "it is shown once, when it is created. You can create a new one on the account page."
)
MISSING_KEY = "Missing account key. Send your account's key as “Authorization: Bearer uid_…”."


class LoopDetected(exceptions.APIException):
    """508: the call is a hook of this site; see instances/loop_detection.py."""

    status_code = own_hooks.STATUS


class AccountKeyAuthentication(authentication.BaseAuthentication):
    """`request.auth` is the account. Its key gives no access to other accounts of its owner, `request.user`."""

    def authenticate(self, request: Request) -> tuple[User, Account] | None:
        if error := loop_detection.find_loop(request._request):
            raise LoopDetected(error)
        scheme, _, key = request.headers.get("Authorization", "").strip().partition(" ")
        if not scheme:
            raise exceptions.NotAuthenticated(MISSING_KEY)
        key, address = key.strip(), login_throttle.client_address(request._request)
        if seconds := login_throttle.lockout_seconds(address, key):
            raise exceptions.Throttled(wait=seconds)
        account = authenticate_key(key) if scheme.lower() == "bearer" else None
        if account is None:
            login_throttle.record_failure(address)
            raise exceptions.AuthenticationFailed(WRONG_KEY)
        login_throttle.record_success(key)
        return account.owner, account

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Chat API"'


class AccountKeyScheme(OpenApiAuthenticationExtension):
    """Describes it in the OpenAPI document. drf-spectacular finds this class by `target_class`."""

    target_class = AccountKeyAuthentication
    name = "accountKey"

    def get_security_definition(self, auto_schema: "AutoSchema") -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "The account's key, `uid_` and 40 letters or digits, created on the account page "
            "(`manage.py demo --json` prints the demo account's as `uid`).",
        }
