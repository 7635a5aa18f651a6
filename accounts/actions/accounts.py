"""Changes to users, accounts, keys and payments, one function each: atomic, `acting_user` is the user who did it.

Forms, admin, REST and commands call these; nothing else writes these tables.
"""

import secrets
import string
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.blocking import Blocked
from accounts.models import KEY_PREFIX_LENGTH, Account, AccountKey, Payment, User, key_digest

# Letters and digits only, so that a double click selects the whole key. 40 of 62 make 238 bits.
KEY_ALPHABET = string.ascii_letters + string.digits
KEY_LENGTH = 40
# `last_used_at` is exact to the minute: a busy client causes one write a minute, not one a call.
KEY_USE_RECORDED_EVERY = timedelta(minutes=1)


@transaction.atomic
def sign_up(email: str, password: str | None, *, name: str = "") -> Account:
    """Create a user with their account. Raises IntegrityError if the address is taken."""
    account = User.objects.create_user(email, password).account
    record_for_account(account, AuditAction.SIGNED_UP, acting_user=account.owner)
    return rename_account(account, name, acting_user=account.owner) if name else account


@transaction.atomic
def open_account(owner: User) -> Account:
    """Get or create the account of a user that allauth's sign-up form saved; at most one per user."""
    account, _ = Account.objects.get_or_create(owner=owner)
    record_for_account(account, AuditAction.SIGNED_UP, acting_user=owner)
    return account


def record_for_account(
    account: Account, action: AuditAction, *, acting_user: User | None, **detail: Any
) -> None:
    """Write an audit entry about the account itself."""
    audit.record(
        action,
        acting_user=acting_user,
        kind="account",
        key=account.pk,
        text=str(account),
        account_id=account.pk,
        **detail,
    )


def record_for_user(user: User, action: AuditAction, *, acting_user: User | None, **detail: Any) -> None:
    """Write an audit entry about a user. Staff see it, and so does the user's own account."""
    own = Account.objects.filter(owner=user).values_list("pk", flat=True).first()
    audit.record(
        action, acting_user=acting_user, kind="user", key=user.pk, text=user.email, account_id=own, **detail
    )


@transaction.atomic
def rename_account(account: Account, name: str, *, acting_user: User) -> Account:
    """Rename the account. `name` has up to 100 characters; if empty, the e-mail address is shown."""
    account.name = name
    account.save(update_fields=["name"])
    record_for_account(account, AuditAction.ACCOUNT_RENAMED, acting_user=acting_user)
    return account


@transaction.atomic
def show_first_steps(user: User, shown: bool, *, acting_user: User) -> User:
    """Show or dismiss the first-run checklist. It is a display preference, so it has no audit row."""
    user.first_steps_hidden_at = None if shown else timezone.now()
    user.save(update_fields=["first_steps_hidden_at"])
    return user


@transaction.atomic
def set_password(user: User, password: str, *, acting_user: User | None) -> User:
    """Set another user's password; users change their own on allauth's pages."""
    user.set_password(password)
    user.save(update_fields=["password"])
    record_for_user(user, AuditAction.PASSWORD_SET, acting_user=acting_user)
    return user


@transaction.atomic
def issue_key(account: Account, *, acting_user: User | None) -> tuple[AccountKey, str]:
    """Create a key. Returns it with its text, `uid_` and 40 letters or digits, which is not stored."""
    plaintext = "uid_" + "".join(secrets.choice(KEY_ALPHABET) for _ in range(KEY_LENGTH))
    key = AccountKey.objects.create(
        account=account, prefix=plaintext[:KEY_PREFIX_LENGTH], digest=key_digest(plaintext)
    )
    audit.record(
        AuditAction.KEY_ISSUED,
        acting_user=acting_user,
        kind="key",
        key=key.pk,
        text=str(key),
        account_id=account.pk,
    )
    return key, plaintext


@transaction.atomic
def rotate_key(account: Account, *, acting_user: User) -> tuple[AccountKey, str]:
    """Revoke all keys of the account and issue a new one; see issue_key."""
    Account.objects.select_for_update().get(
        pk=account.pk
    )  # two rotations at once must not leave two live keys
    revoked = AccountKey.objects.filter(account=account, revoked_at=None).update(revoked_at=timezone.now())
    if revoked:
        record_for_account(account, AuditAction.KEY_ROTATED, acting_user=acting_user, revoked=revoked)
    return issue_key(account, acting_user=acting_user)


def authenticate_key(plaintext: str) -> Account | None:
    """The account of this key, or None; records the use at most once a minute. Raises Blocked."""
    key = AccountKey.objects.matching(plaintext)
    if key is None:
        return None
    if key.account.blocked_at is not None:
        raise Blocked
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at >= KEY_USE_RECORDED_EVERY:
        AccountKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key.account


@transaction.atomic
def record_payment(
    account: Account,
    *,
    instance_id: int | None,
    days: int,
    amount: Decimal,
    currency: str = "USD",
    note: str = "",
    acting_user: User | None,
) -> Payment:
    """Record a payment for `days` days, at least 1. The caller extends the instance: instances/actions/lifecycle.py.

    `instance_id` is the primary key of the instance, `amount` is in units of `currency` (ISO 4217).
    """
    payment = Payment.objects.create(
        account=account,
        instance_id=instance_id,
        days=days,
        amount=amount,
        currency=currency,
        note=note,
        created_by=acting_user,
    )
    audit.record(
        AuditAction.PAYMENT,
        acting_user=acting_user,
        kind="payment",
        key=payment.pk,
        text=str(payment),
        account_id=account.pk,
        days=days,
        amount=str(amount),
        currency=currency,
        instance=str(payment.instance) if payment.instance else None,
    )
    return payment


@transaction.atomic
def set_rights(user: User, *, is_active: bool, is_staff: bool, is_superuser: bool, acting_user: User) -> User:
    """Set whether the user may sign in, see the staff pages, and do everything there.

    Only superusers may change superusers or grant and remove that right. Raises PermissionError with the message.
    """
    before = User.objects.select_for_update().get(pk=user.pk)
    if (is_superuser or before.is_superuser) and not acting_user.is_superuser:
        raise PermissionError("Only a superuser may change a superuser, or make one.")
    rights = {"is_active": is_active, "is_staff": is_staff, "is_superuser": is_superuser}
    changed = {name: value for name, value in rights.items() if getattr(before, name) != value}
    user.is_active, user.is_staff, user.is_superuser = is_active, is_staff, is_superuser
    user.save(update_fields=list(rights))
    if changed:
        record_for_user(user, AuditAction.RIGHTS, acting_user=acting_user, **changed)
    return user


@transaction.atomic
def set_groups(user: User, groups: Iterable[Group], *, acting_user: User) -> User:
    """Set the user's groups on the support desk: support, billing, administrator. Raises PermissionError."""
    if user.is_superuser and not acting_user.is_superuser:
        raise PermissionError("Only a superuser may change a superuser.")
    before = set(user.groups.values_list("name", flat=True))
    user.groups.set(groups)
    after = set(user.groups.values_list("name", flat=True))
    if before != after:
        record_for_user(user, AuditAction.RIGHTS, acting_user=acting_user, groups=sorted(after))
    return user


@transaction.atomic
def block_account(account: Account, *, reason: str, acting_user: User) -> bool:
    """Refuse the account's users and keys; False if it is blocked already. See instances/actions/stopping.py."""
    row = Account.objects.select_for_update().get(pk=account.pk)
    if row.blocked_at is not None:
        return False
    account.blocked_at, account.blocked_reason = timezone.now(), reason
    account.save(update_fields=["blocked_at", "blocked_reason"])
    record_for_account(account, AuditAction.ACCOUNT_BLOCKED, acting_user=acting_user, reason=reason)
    return True


@transaction.atomic
def unblock_account(account: Account, *, acting_user: User) -> bool:
    """Accept the account's users and keys again; False if it is not blocked."""
    row = Account.objects.select_for_update().get(pk=account.pk)
    if row.blocked_at is None:
        return False
    account.blocked_at, account.blocked_reason = None, ""
    account.save(update_fields=["blocked_at", "blocked_reason"])
    record_for_account(account, AuditAction.ACCOUNT_UNBLOCKED, acting_user=acting_user)
    return True
