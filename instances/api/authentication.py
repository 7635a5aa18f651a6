"""Authenticates REST calls by `Authorization: Bearer <account key>`."""

from typing import TYPE_CHECKING, Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts.actions.keys import Joined, KeyEnded, authenticate_key, authenticate_key_with
from accounts.models import Account, AccountKey, User
from chatapi.ui.numbers import INSTANCE_NUMBER_DIGITS, parse_digits
from hooks import own_hooks
from instances import fast_lookup, loop_detection
from instances.api import recent_keys
from instances.limits import login_throttle

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema

WRONG_KEY = (
    "Wrong account key. Send your account's key as “Authorization: Bearer uid_…”; "
    "it is shown once, when it is created. You can create a new one on the account page."
)
MISSING_KEY = "Missing account key. Send your account's key as “Authorization: Bearer uid_…”."


OWN_INSTANCE = Joined(
    fast_lookup.COLUMNS,
    f'LEFT JOIN "{fast_lookup.TABLE}" ON "{fast_lookup.TABLE}".number = %s::bigint'
    f' AND "{fast_lookup.TABLE}".owner_id = accounts_account.id',
)


class LoopDetected(exceptions.APIException):
    """508: the call is a hook of this site; see instances/loop_detection.py."""

    status_code = own_hooks.STATUS


class AccountKeyAuthentication(authentication.BaseAuthentication):
    """`request.auth` is the account. Its key gives no access to other accounts of its owner, `request.user`.

    `request.account_key` is the key, whose scopes instances/api/scopes.py checks.
    """

    def authenticate(self, request: Request) -> tuple[User, Account] | None:
        if error := loop_detection.find_loop(request._request):
            raise LoopDetected(error)
        scheme, _, key = request.headers.get("Authorization", "").strip().partition(" ")
        if not scheme:
            raise exceptions.NotAuthenticated(MISSING_KEY)
        key, address = key.strip(), login_throttle.client_address(request._request)
        if seconds := login_throttle.lockout_seconds(address, key):
            raise exceptions.Throttled(wait=seconds)
        ended = ""
        try:
            found = self.find_key(request, key, address) if scheme.lower() == "bearer" else None
        except KeyEnded as error:
            found, ended = None, str(error)
        if found is None:
            login_throttle.record_failure(address, key)
            raise exceptions.AuthenticationFailed(ended or WRONG_KEY)
        account = found.account
        login_throttle.record_success(key)
        recent_keys.remember(key, account.owner_id)
        # at Django's request: a copy of REST framework's, which OPTIONS checks, would not have it
        request._request.account_key = found  # type: ignore[attr-defined]
        return account.owner, account

    def find_key(self, request: Request, key: str, address: str) -> AccountKey | None:
        """Returns the key with this text, and its account. Raises KeyEnded.

        For views with `finds_own_instance`, the same statement finds the account's instance with the `id` of the URL:
        `request.own_instance`, None if the account has none.
        """
        context = request.parser_context
        if not getattr(context.get("view"), "finds_own_instance", False):
            return authenticate_key(key, address=address)
        number = parse_digits(context["kwargs"]["id"], max_digits=INSTANCE_NUMBER_DIGITS)
        found = authenticate_key_with(key, OWN_INSTANCE, [number], address=address)
        if found is None:
            return None
        account_key, values = found
        instance = fast_lookup.ROW.build(values) if values[0] is not None else None
        request.own_instance = instance  # type: ignore[attr-defined]
        return account_key

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
            "description": "A key of the account, `uid_` and 40 letters or digits, created on the account page "
            "(`manage.py demo --json` prints the demo account's as `uid`). Each operation names the scope that its "
            "key needs: `read`, `send` or `manage`.",
        }
