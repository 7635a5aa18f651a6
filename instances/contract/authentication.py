"""Finds the instance or account of a call and checks its token or key (contract.md §1)."""

import hmac
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from accounts.actions.keys import KeyEnded, authenticate_key
from accounts.models import AccountKey
from chatapi.encryption.cipher import token_digest
from chatapi.ui.numbers import INSTANCE_NUMBER_DIGITS, parse_digits
from instances import fast_lookup
from instances.contract import limits
from instances.contract.arguments import single_value
from instances.contract.errors import NO_INSTANCE, WRONG_TOKEN, WRONG_UID, WireError
from instances.limits import login_throttle
from instances.models import Instance


def read_token(request: HttpRequest, query: Mapping[str, Any]) -> str:
    """The token in the query, or that of `Authorization: Bearer`. Empty if there is none."""
    given = single_value(query.get("token"))
    return str(given).strip() if given else read_bearer_token(request)


def read_bearer_token(request: HttpRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def authenticate_instance(number: str, token: str, address: str) -> Instance:
    """Returns the instance with this number if the token is its own. `address` is the client's IP address.

    Without a token the error and the time are the same whether or not the number exists: nothing is looked up.
    Raises WireError.
    """
    if not token:
        raise WireError(401, WRONG_TOKEN)
    limits.check_lockout(address, number, token)
    valid = parse_digits(number, max_digits=INSTANCE_NUMBER_DIGITS)
    instance = None if valid is None else fast_lookup.by_number(valid)
    if instance is None:
        login_throttle.record_failure(address)
        raise WireError(404, NO_INSTANCE)
    if not hmac.compare_digest(instance.token_digest, token_digest(token)):
        login_throttle.record_failure(address, number, token)
        raise WireError(401, WRONG_TOKEN)
    login_throttle.record_success(number, token)
    return instance


def recent_credentials(number: str, token: str) -> tuple[int, str] | None:
    """Returns the number and the token's digest if this process has found them right before; the token may be old.

    Only such a call may be counted before its token is checked: others could use up the calls of an instance.
    """
    valid = parse_digits(number, max_digits=INSTANCE_NUMBER_DIGITS)
    if valid is None or not login_throttle.accepted_before(number, token):
        return None
    return valid, token_digest(token)


def authenticate_account(request: HttpRequest, given: Mapping[str, Any], address: str) -> AccountKey:
    """Returns the key that is `uid` or the bearer token, with its account. Keys are looked up by digest.

    An expired key says when it expired. For a revoked one, the error is that of a wrong key: clients compare it.
    Raises WireError.
    """
    uid = single_value(given.get("uid"))
    key = str(uid).strip() if uid else read_bearer_token(request)
    if not key:
        raise WireError(401, WRONG_UID)
    limits.check_lockout(address, key)
    error = WRONG_UID
    try:
        found = authenticate_key(key, address=address)
    except KeyEnded as ended:
        found, error = None, str(ended) if ended.has_expired else WRONG_UID
    if found is None:
        login_throttle.record_failure(address, key)
        raise WireError(401, error)
    login_throttle.record_success(key)
    return found
