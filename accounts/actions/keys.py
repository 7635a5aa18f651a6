"""Account keys: issue, rotate, revoke, and authenticate with one."""

import re
import secrets
import string
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.blocking import Blocked
from accounts.models import (
    ALL_SCOPES,
    KEY_PREFIX_LENGTH,
    Account,
    AccountKey,
    KeyState,
    Scope,
    User,
    key_digest,
)
from accounts.models.keys import DEFAULT_NAME
from chatapi.database import prepared

# Letters and digits only, so that a double click selects the whole key. 40 of 62 make 238 bits.
KEY_ALPHABET = string.ascii_letters + string.digits
KEY_LENGTH = 40
# `last_used_at` is exact to the minute: a busy client causes one write per minute, not one per call.
KEY_USE_RECORDED_EVERY = timedelta(minutes=1)


OVERLAP = timedelta(hours=24)  # for which the old text of a rotated key is valid, if nothing else is chosen
MAX_OVERLAP = timedelta(days=30)
MAX_KEYS = 50  # valid ones of an account


class NotPossible(ValueError):
    """The key was not created or rotated; str() is the message for the user."""


class NotAllowed(Exception):
    """A program asked for a key that could do more than its own; str() is the message for it."""


class KeyEnded(Exception):
    """The key was right, but is revoked or has expired; str() says when, for its holder."""

    def __init__(self, sentence: str, *, has_expired: bool) -> None:
        super().__init__(sentence)
        self.has_expired = has_expired


@transaction.atomic
def issue_key(
    account: Account,
    *,
    name: str = DEFAULT_NAME,
    scopes: Collection[Scope] = ALL_SCOPES,
    expires_at: datetime | None = None,
    by_key: AccountKey | None = None,
    acting_user: User | None,
) -> tuple[AccountKey, str]:
    """Create a key. Returns it with its text, `uid_` and 40 letters or digits, which is not stored.

    `by_key` is the key of the program that asks for it.

    Raises:
        NotAllowed: it would have a scope that `by_key` does not have, or be valid for longer; or `by_key` has ended.
        NotPossible: it has no scope or expires in the past, or MAX_KEYS is reached.
    """
    if by_key is not None:
        raise_if_ended_meanwhile(by_key)
        raise_if_more_than(by_key, scopes, expires_at)
    if not scopes:
        raise NotPossible("Choose at least one scope.")
    if expires_at is not None and expires_at <= timezone.now():
        raise NotPossible("The key would expire in the past. Choose a later time.")
    # The lock: two concurrent calls must not exceed the limit.
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    if AccountKey.objects.live().filter(account=account).count() >= MAX_KEYS:
        raise NotPossible(f"An account has at most {MAX_KEYS} valid keys. Revoke one first.")
    plaintext = "uid_" + "".join(secrets.choice(KEY_ALPHABET) for _ in range(KEY_LENGTH))
    key = AccountKey.objects.create(
        account=account,
        name=name,
        prefix=plaintext[:KEY_PREFIX_LENGTH],
        digest=key_digest(plaintext),
        can_read=Scope.READ in scopes,
        can_send=Scope.SEND in scopes,
        can_manage=Scope.MANAGE in scopes,
        expires_at=expires_at,
    )
    audit.record(
        key,
        AuditAction.KEY_ISSUED,
        acting_user=acting_user,
        name=name,
        scopes=key.scopes,
        expires=expires_at.isoformat() if expires_at else None,
    )
    return key, plaintext


def raise_if_ended_meanwhile(key: AccountKey) -> None:
    """Raises NotAllowed if the key was revoked after its call had begun: it must not leave another key behind.

    The lock orders this call and the revocation: after the one, the key is refused; before the other, the new key is
    among those that the owner sees.
    """
    row = AccountKey.objects.select_for_update(no_key=True).get(pk=key.pk)
    try:
        raise_if_ended(row, timezone.now())
    except KeyEnded as error:
        raise NotAllowed(str(error)) from None


def raise_if_more_than(key: AccountKey, scopes: Collection[Scope], expires_at: datetime | None) -> None:
    missing = [scope for scope in Scope if scope in scopes and scope not in key.scopes]
    if missing:
        raise NotAllowed(
            f"A key cannot create one with more scopes than it has: the key {key} does not have `{missing[0]}`."
        )
    if key.expires_at is not None and (expires_at is None or expires_at > key.expires_at):
        raise NotAllowed(
            f"A key cannot create one that is valid for longer: the key {key} expires on {in_words(key.expires_at)}."
        )


def in_words(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %b %Y at %H:%M} UTC"


@transaction.atomic
def rotate_key(
    key: AccountKey,
    *,
    overlap: timedelta = OVERLAP,
    by_key: AccountKey | None = None,
    acting_user: User | None,
) -> tuple[AccountKey, str]:
    """Issue a key with the name and scopes of this one, whose text stays valid for `overlap`; see issue_key.

    The new key is valid for as long as this one was, at most as long as `by_key`, the key of the program that asks.

    Raises:
        NotAllowed: the key has a scope that `by_key` does not have.
        NotPossible: the key is not valid any more or was rotated before, or the new one cannot be issued.
    """
    # The lock: of two concurrent rotations, one is refused.
    locked = AccountKey.objects.select_for_update(no_key=True).select_related("account").get(pk=key.pk)
    now = timezone.now()
    if (state := locked.state_at(now)) != KeyState.ACTIVE:
        raise NotPossible(f"This key is {state.label.lower()}. Only an active key can be rotated.")
    ends = [by_key.expires_at] if by_key and by_key.expires_at else []
    if locked.expires_at is not None:
        ends.append(now + (locked.expires_at - locked.created_at))
    locked.replaced_at = now
    if overlap <= timedelta(0):
        locked.revoked_at = now
    else:
        until = now + min(overlap, MAX_OVERLAP)
        locked.expires_at = min(until, locked.expires_at) if locked.expires_at else until
    locked.save(update_fields=["replaced_at", "revoked_at", "expires_at"])
    audit.record(
        locked,
        AuditAction.KEY_ROTATED,
        acting_user=acting_user,
        name=locked.name,
        hours=round(max(overlap, timedelta(0)) / timedelta(hours=1)),
    )
    return issue_key(
        locked.account,
        name=locked.name,
        scopes=locked.scopes,
        expires_at=min(ends, default=None),
        by_key=by_key,
        acting_user=acting_user,
    )


@transaction.atomic
def revoke_key(key: AccountKey, *, acting_user: User | None) -> None:
    """Revoke the key: from the commit on, it is refused everywhere. Does nothing if it was revoked before."""
    if AccountKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        audit.record(key, AuditAction.KEY_REVOKED, acting_user=acting_user, name=key.name)


KEY, ACCOUNT, OWNER = prepared.ModelRow(AccountKey), prepared.ModelRow(Account), prepared.ModelRow(User)


class Joined(NamedTuple):
    """A row that is found together with a key: its columns, and a LEFT JOIN that may use accounts_account's."""

    columns: str
    join: str


NOTHING_JOINED = Joined("", "")


@cache
def find_key_sql(joined: Joined) -> str:
    """Returns the query of a key, its account and owner by its digest, which the ORM takes longer to build.

    Its parameters are those of the join and the digest. Whether the key is still valid is read from its row: that
    costs nothing, and the holder of one that is not learns why.
    """
    query = (
        AccountKey.objects.of_active_owners()
        .select_related("account__owner")
        .filter(digest="")
        .order_by()
        .query
    )
    sql, parameters = query.sql_with_params()
    assert parameters == ("",), parameters
    columns, tables, condition = re.split(" FROM | WHERE ", sql)
    if joined.columns:
        columns += ", " + joined.columns
    return f"{columns} FROM {tables} {joined.join} WHERE {condition}"


def find_key(
    plaintext: str, joined: Joined, parameters: Sequence[Any]
) -> tuple[AccountKey, Sequence[Any]] | None:
    """Returns the key with this text, valid or not, its account and owner, and the joined values. For every REST call.

    The lookup is by digest, so its time reveals nothing about the key.
    """
    row = prepared.fetch_one(find_key_sql(joined), [*parameters, key_digest(plaintext)])
    if row is None:
        return None
    first = len(KEY.names)
    second = first + len(ACCOUNT.names)
    third = second + len(OWNER.names)
    key, account = KEY.build(row[:first]), ACCOUNT.build(row[first:second])
    key.account, account.owner = account, OWNER.build(row[second:third])
    return key, row[third:]


@cache
def account_of_key_sql(scope: Scope) -> str:
    """Returns a subquery for the account of a key with this scope that authenticate_key() would accept.

    It must have been used within the last minute, so that no use has to be recorded. Its parameters are those of
    account_of_key_parameters().
    """
    now = timezone.now()
    found = AccountKey.objects.of_active_owners().filter(account__blocked_at=None, digest="", revoked_at=None)
    found = found.filter(account__owner=0).filter(last_used_at__gt=now).unexpired(now)
    found = found.filter(Q(**{f"can_{scope}": True}))
    sql, parameters = found.order_by().values("account").query.sql_with_params()
    assert parameters == ("", 0, now, now), parameters
    for name in ("key_digest", "key_owner", "key_used_after", "key_used_at"):
        sql = sql.replace("%s", f"%({name})s", 1)
    return f"({sql})"


def account_of_key_parameters(plaintext: str, *, owner_id: int, now: datetime) -> dict[str, Any]:
    """Returns the parameters of account_of_key_sql(); `owner_id` is the user whose account it was before."""
    return {
        "key_digest": key_digest(plaintext),
        "key_owner": owner_id,
        "key_used_after": now - KEY_USE_RECORDED_EVERY,
        "key_used_at": now,
    }


def authenticate_key(plaintext: str, *, address: str = "") -> AccountKey | None:
    """Returns the key with this text, its account and owner, or None; records the use at most once a minute.

    `address` is the client's IP address.

    Raises:
        KeyEnded: the key is revoked or has expired.
        Blocked: the account is blocked.
    """
    found = authenticate_key_with(plaintext, address=address)
    return None if found is None else found[0]


def authenticate_key_with(
    plaintext: str, joined: Joined = NOTHING_JOINED, parameters: Sequence[Any] = (), *, address: str = ""
) -> tuple[AccountKey, Sequence[Any]] | None:
    """The same, with the values of a joined row, which are None if there is no such row."""
    found = find_key(plaintext, joined, parameters)
    if found is None:
        return None
    key, values = found
    now = timezone.now()
    raise_if_ended(key, now)
    if key.account.blocked_at is not None:
        raise Blocked
    # a time in the future is that of a clock that was set back since
    if key.last_used_at is None or abs(now - key.last_used_at) >= KEY_USE_RECORDED_EVERY:
        AccountKey.objects.filter(pk=key.pk).update(last_used_at=now, last_used_from=address)
    return key, values


def raise_if_ended(key: AccountKey, now: datetime) -> None:
    state = key.state_at(now)
    if state == KeyState.REVOKED:
        word, at = "was revoked", key.revoked_at
    elif state == KeyState.EXPIRED:
        word, at = (
            ("was rotated, and its old value expired" if key.replaced_at else "expired"),
            key.expires_at,
        )
    else:
        return
    assert at is not None
    raise KeyEnded(
        f"The account key {key} {word} on {in_words(at)}. "
        "Use another key; you can create one on the account page.",
        has_expired=state == KeyState.EXPIRED,
    )
