"""Which instance a call is about, and whether its token opens it (contract.md, section 1)."""

import hmac
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from instances import rows
from instances.contract.errors import NO_INSTANCE, WRONG_TOKEN, WireError
from instances.models import Instance


def token_of(request: HttpRequest, query: Mapping[str, Any]) -> str:
    """The token of the query, or that of `Authorization: Bearer`; empty when there is none."""
    given = query.get("token")
    if isinstance(given, list):
        given = given[-1]
    if given:
        return str(given).strip()
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def instance_of(number: str, token: str) -> Instance:
    """The instance with that number, opened by its token.

    Without a token the answer is the same, in the same time, whether the number exists or not: it comes
    before anything is looked up. Raises WireError.
    """
    if not token:
        raise WireError(401, WRONG_TOKEN)
    # ten digits hold every number; int() would read a longer one for as long as somebody likes
    known = number.isascii() and number.isdigit() and len(number) <= 10
    instance = rows.by_number(int(number)) if known else None
    if instance is None:
        raise WireError(404, NO_INSTANCE)
    if not hmac.compare_digest(instance.token.encode(), token.encode("utf-8", "replace")):
        raise WireError(401, WRONG_TOKEN)
    return instance
