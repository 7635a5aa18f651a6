"""Account keys: issue, rotate, and authenticate with one."""

import re
import secrets
import string
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.blocking import Blocked
from accounts.models import KEY_PREFIX_LENGTH, Account, AccountKey, User, key_digest
from chatapi.database import prepared

# Letters and digits only, so that a double click selects the whole key. 40 of 62 make 238 bits.
KEY_ALPHABET = string.ascii_letters + string.digits
KEY_LENGTH = 40
# `last_used_at` is exact to the minute: a busy client causes one write per minute, not one per call.
KEY_USE_RECORDED_EVERY = timedelta(minutes=1)


@transaction.atomic
def issue_key(account: Account, *, acting_user: User | None) -> tuple[AccountKey, str]:
    """Create a key. Returns it with its text, `uid_` and 40 letters or digits, which is not stored."""
    plaintext = "uid_" + "".join(secrets.choice(KEY_ALPHABET) for _ in range(KEY_LENGTH))
    key = AccountKey.objects.create(
        account=account, prefix=plaintext[:KEY_PREFIX_LENGTH], digest=key_digest(plaintext)
    )
    audit.record(key, AuditAction.KEY_ISSUED, acting_user=acting_user)
    return key, plaintext


@transaction.atomic
def rotate_key(account: Account, *, acting_user: User) -> tuple[AccountKey, str]:
    """Revoke all keys of the account and issue a new one; see issue_key."""
    # The lock: two concurrent rotations must not leave two live keys.
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    revoked = AccountKey.objects.filter(account=account, revoked_at=None).update(revoked_at=timezone.now())
    if revoked:
        audit.record(account, AuditAction.KEY_ROTATED, acting_user=acting_user, revoked=revoked)
    return issue_key(account, acting_user=acting_user)


KEY, ACCOUNT, OWNER = prepared.ModelRow(AccountKey), prepared.ModelRow(Account), prepared.ModelRow(User)


class Joined(NamedTuple):
    """A row that is found together with a key: its columns, and a LEFT JOIN that may use accounts_account's."""

    columns: str
    join: str


NOTHING_JOINED = Joined("", "")


@cache
def find_key_sql(joined: Joined) -> str:
    """Returns the query of AccountKeyQuerySet.matching(), which the ORM takes longer to build than to execute.

    Its parameters are those of the join and the digest.
    """
    query = AccountKey.objects.live().select_related("account__owner").filter(digest="").order_by().query
    sql, parameters = query.sql_with_params()
    assert parameters == ("",), parameters
    columns, tables, condition = re.split(" FROM | WHERE ", sql)
    if joined.columns:
        columns += ", " + joined.columns
    return f"{columns} FROM {tables} {joined.join} WHERE {condition}"


def find_key(
    plaintext: str, joined: Joined, parameters: Sequence[Any]
) -> tuple[AccountKey, Sequence[Any]] | None:
    """Returns the live key with this text, its account and owner, and the joined values. For every call of REST."""
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
def account_of_key_sql() -> str:
    """Returns a subquery for the account of a key that authenticate_key() would accept without recording its use.

    Its parameters are those of account_of_key_parameters().
    """
    found = AccountKey.objects.live().filter(account__blocked_at=None, digest="")
    found = found.filter(account__owner=0).filter(last_used_at__gt=timezone.now())
    sql, parameters = found.order_by().values("account").query.sql_with_params()
    assert parameters[:2] == ("", 0) and isinstance(parameters[2], datetime), parameters
    for name in ("key_digest", "key_owner", "key_used_after"):
        sql = sql.replace("%s", f"%({name})s", 1)
    return f"({sql})"


def account_of_key_parameters(plaintext: str, *, owner_id: int, now: datetime) -> dict[str, Any]:
    """Returns the parameters of account_of_key_sql(); `owner_id` is the user whose account it was before."""
    return {
        "key_digest": key_digest(plaintext),
        "key_owner": owner_id,
        "key_used_after": now - KEY_USE_RECORDED_EVERY,
    }


def authenticate_key(plaintext: str) -> Account | None:
    """Returns the account of this key, or None; records the use at most once a minute.

    Raises:
        Blocked: the account is blocked.
    """
    found = authenticate_key_with(plaintext)
    return None if found is None else found[0]


def authenticate_key_with(
    plaintext: str, joined: Joined = NOTHING_JOINED, parameters: Sequence[Any] = ()
) -> tuple[Account, Sequence[Any]] | None:
    """The same, with the values of a joined row, which are None if there is no such row."""
    found = find_key(plaintext, joined, parameters)
    if found is None:
        return None
    key, values = found
    if key.account.blocked_at is not None:
        raise Blocked
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at >= KEY_USE_RECORDED_EVERY:
        AccountKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key.account, values
