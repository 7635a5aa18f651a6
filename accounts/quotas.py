"""Quotas: how many instances, files, captures and invitations an account may have.

Each app registers its quotas in AppConfig.ready with the function that reads the usage; the account page, REST and the
support desk show all of them. The limit is the account's own (Account.own_quotas, which staff set), or else a setting.
The action that adds something locks the account and calls `check`, so that concurrent calls cannot exceed the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

from accounts.blocking import support_contact
from accounts.models import Account
from chatapi.ui import sizes

ALMOST_FULL = 80  # percent


@dataclass(frozen=True)
class Quota:
    """One quota. `things` is what it counts, in the plural; `advice` is how to use less, as the start of a sentence."""

    name: str  # in REST, and in Account.own_quotas
    order: int
    label: str
    setting: str  # of the default limit
    things: str
    advice: str
    used: Callable[[Account], int]
    is_bytes: bool = False

    def in_words(self, value: int) -> str:
        return sizes.in_words(value) if self.is_bytes else f"{value:,}"


@dataclass(frozen=True)
class Usage:
    """What an account uses of a quota."""

    quota: Quota
    used: int
    limit: int

    @property
    def percent(self) -> int:
        """From 0 to 100. Above 0 if anything is used, and 100 only if nothing is left."""
        if self.used >= self.limit:
            return 100
        return max(1, self.used * 100 // self.limit) if self.used else 0

    @property
    def state(self) -> str:
        """The state in words; empty if less than ALMOST_FULL percent are used."""
        if self.used >= self.limit:
            return "Full"
        return "Almost full" if self.percent >= ALMOST_FULL else ""

    @property
    def used_in_words(self) -> str:
        return self.quota.in_words(self.used)

    @property
    def limit_in_words(self) -> str:
        return self.quota.in_words(self.limit)


class QuotaExceeded(Exception):
    """The account's quota does not allow it; str() is the message for the user, with what to do."""

    def __init__(self, usage: Usage, adding: int) -> None:
        quota = usage.quota
        needed = f", and {quota.in_words(adding)} more are needed" if quota.is_bytes else ""
        super().__init__(
            f"Quota reached: the account uses {usage.used_in_words} of {usage.limit_in_words} {quota.things}{needed}. "
            f"{quota.advice}, or ask {support_contact()} for a higher quota."
        )
        self.usage = usage


_quotas: dict[str, Quota] = {}


def register(quota: Quota) -> None:
    """Add a quota. Registering a name again replaces it."""
    _quotas[quota.name] = quota


def all_quotas() -> list[Quota]:
    return sorted(_quotas.values(), key=lambda quota: quota.order)


def limit_of(account: Account, name: str) -> int:
    """Returns the account's limit, in bytes for quotas of bytes."""
    own = account.own_quotas.get(name)
    return int(own) if own is not None else int(getattr(settings, _quotas[name].setting))


def usage_of(account: Account) -> list[Usage]:
    """Returns the usage of every quota. One or two queries for each."""
    return [Usage(quota, quota.used(account), limit_of(account, quota.name)) for quota in all_quotas()]


def lock_account(account: Account) -> Account:
    """Returns the account's row, locked until the transaction ends; does not block rows that refer to it.

    Raises:
        Account.DoesNotExist: the account was deleted.
    """
    return Account.objects.select_for_update(no_key=True).get(pk=account.pk)


def check(account: Account, name: str, *, adding: int = 1) -> None:
    """Raise QuotaExceeded if the account cannot have `adding` more.

    Call it in a transaction with the account that lock_account returned; otherwise concurrent calls may exceed it.
    """
    quota = _quotas[name]
    usage = Usage(quota, quota.used(account), limit_of(account, name))
    if usage.used + adding > usage.limit:
        raise QuotaExceeded(usage, adding)
