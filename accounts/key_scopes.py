"""What a key may be used for: the error of a call whose scope it does not have, and which secrets it can read."""

from collections.abc import Collection
from typing import Any

from accounts.models import ALL_SCOPES, AccountKey, Scope

# Fields of responses that are null for keys without these scopes, because the value lets its holder do as much: the
# token of an instance calls all methods of the wire contract, a signing secret and a callback URL make events.
SECRETS: dict[str, Collection[Scope]] = {
    "token": ALL_SCOPES,
    "webhookSecret": {Scope.MANAGE},
    "secret": {Scope.MANAGE},
    "callbackUrl": {Scope.MANAGE},
}


def missing_scope(key: AccountKey, needed: Collection[Scope]) -> str:
    """Returns the sentence for the first of these scopes that the key does not have; empty if it has them all."""
    missing = [scope for scope in Scope if scope in needed and scope not in key.scopes]
    if not missing:
        return ""
    has = ", ".join(f"`{scope}`" for scope in key.scopes)
    return (
        f"This call needs the scope `{missing[0]}`, and the key {key} has only {has}. "
        "Use a key with that scope; you can create one on the account page."
    )


def hide_secrets(shown: dict[str, Any], key: AccountKey | None) -> dict[str, Any]:
    """Returns the fields of a response with None for those that the key must not read; without a key, for all."""
    has = set(key.scopes) if key else set()
    return {
        name: None if name in SECRETS and not has.issuperset(SECRETS[name]) else value
        for name, value in shown.items()
    }
