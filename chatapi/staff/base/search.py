"""Search texts that several lists accept: an owner's address, an account's key, an instance's number, a hook's id."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q

from accounts.models import KEY_PREFIX_LENGTH, Account, AccountKey, User
from chatapi.staff.base.lists import fetch_keys, instance_numbered
from chatapi.ui.numbers import parse_digits

ACCOUNT_HELP = "An e-mail address or its beginning, a key or its beginning (uid_…), or an instance's number"


def user_keys(text: str) -> list[int]:
    """The keys of the users whose address begins with the text."""
    return fetch_keys(User.objects.filter(email__startswith=text.lower()))


def owned_by(text: str) -> Q:
    """Accounts of the owners whose address begins with the text."""
    return Q(owner__in=user_keys(text))


def accounts_matching(text: str) -> Q:
    """Accounts by their owner's address or its beginning, a key or its beginning, or an instance's number."""
    if text.startswith("uid_"):
        found = AccountKey.objects.filter(prefix__startswith=text[:KEY_PREFIX_LENGTH])
        return Q(pk__in=fetch_keys(found, "account"))
    if parse_digits(text) is not None:
        return Q(pk__in=fetch_keys(instance_numbered(text), "owner"))
    return owned_by(text)


def in_accounts(text: str) -> Q:
    """Rows with an `account`, by the same texts."""
    return Q(account__in=fetch_keys(Account.objects.filter(accounts_matching(text))))


def of_instance(text: str) -> Q:
    """Rows with an `endpoint`, by its instance's number."""
    return Q(endpoint__in=fetch_keys(instance_numbered(text)))


def parse_hook_id(text: str) -> UUID | None:
    """A hook's public id, written as in the `webhook-id` header or as a UUID; None for any other text."""
    try:
        return UUID(text.removeprefix("hook_"))
    except ValueError:
        return None
