"""Which instance or account a call is about, and whether its token or key opens it (contract.md, section 1)."""

import hmac
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from accounts.actions.keys import authenticate_key
from accounts.models import Account
from instances import fast_lookup, login_throttle
from instances.contract import limits
from instances.contract.arguments import once
from instances.contract.errors import NO_INSTANCE, WRONG_TOKEN, WRONG_UID, WireError
from instances.models import Instance


def token_of(request: HttpRequest, query: Mapping[str, Any]) -> str:
    """The token of the query, or that of `Authorization: Bearer`; empty when there is none."""
    given = once(query.get("token"))
    return str(given).strip() if given else bearer_of(request)


def bearer_of(request: HttpRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def instance_of(number: str, token: str, address: str) -> Instance:
    """The instance with that number, opened by its token, for whoever calls from that address.

    Without a token the answer is the same, in the same time, whether the number exists or not: it comes
    before anything is looked up. Raises WireError.
    """
    if not token:
        raise WireError(401, WRONG_TOKEN)
    limits.may_try(address, number, token)
    # ten digits hold every number; int() would read a longer one for as long as somebody likes
    known = number.isascii() and number.isdigit() and len(number) <= 10
    instance = fast_lookup.by_number(int(number)) if known else None
    if instance is None:
        login_throttle.was_wrong(address)
        raise WireError(404, NO_INSTANCE)
    if not hmac.compare_digest(instance.token.encode(), token.encode("utf-8", "replace")):
        login_throttle.was_wrong(address)
        raise WireError(401, WRONG_TOKEN)
    login_throttle.was_right(number, token)
    return instance


def account_of(request: HttpRequest, given: Mapping[str, Any], address: str) -> Account:
    """The account that `uid`, or the bearer's key, opens. Keys are looked up by their digest. Raises WireError."""
    uid = once(given.get("uid"))
    key = str(uid).strip() if uid else bearer_of(request)
    if not key:
        raise WireError(401, WRONG_UID)
    limits.may_try(address, key)
    account = authenticate_key(key)
    if account is None:
        login_throttle.was_wrong(address)
        raise WireError(401, WRONG_UID)
    login_throttle.was_right(key)
    return account
