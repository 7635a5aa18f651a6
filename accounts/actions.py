"""Every change to people, accounts, keys and payments, one function each: atomic, `actor` is who did it.

Forms, admin, REST and commands call these; nothing else writes these tables.
"""

import secrets
import string
from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from accounts.models import KEY_PREFIX_LENGTH, Account, AccountKey, Payment, User, key_digest

# Letters and digits only, so that a double click selects the whole key. 40 of 62 make 238 bits.
KEY_ALPHABET = string.ascii_letters + string.digits
KEY_LENGTH = 40
# `last_used_at` is kept to the minute: a busy client costs one write a minute, not one a call.
KEY_USE_NOTED_EVERY = timedelta(minutes=1)


@transaction.atomic
def sign_up(email: str, password: str | None, *, name: str = "") -> Account:
    """A new person with their account. Raises IntegrityError where the address is taken."""
    account = User.objects.create_user(email, password).account
    return rename_account(account, name, actor=account.owner) if name else account


@transaction.atomic
def open_account(owner: User) -> Account:
    """The account of a person that someone else saved (the sign-up form of allauth); at most one a person."""
    return Account.objects.get_or_create(owner=owner)[0]


@transaction.atomic
def rename_account(account: Account, name: str, *, actor: User) -> Account:
    """`name` up to 100 characters; the empty one falls back to the e-mail address."""
    account.name = name
    account.save(update_fields=["name"])
    return account


@transaction.atomic
def set_password(user: User, password: str, *, actor: User | None) -> User:
    """A password chosen for somebody; people choose their own on allauth's pages."""
    user.set_password(password)
    user.save(update_fields=["password"])
    return user


@transaction.atomic
def issue_key(account: Account, *, actor: User | None) -> tuple[AccountKey, str]:
    """A further key of the account and its text, `uid_` and 40 letters or digits, which exists nowhere else."""
    plaintext = "uid_" + "".join(secrets.choice(KEY_ALPHABET) for _ in range(KEY_LENGTH))
    key = AccountKey.objects.create(
        account=account, prefix=plaintext[:KEY_PREFIX_LENGTH], digest=key_digest(plaintext)
    )
    return key, plaintext


@transaction.atomic
def rotate_key(account: Account, *, actor: User) -> tuple[AccountKey, str]:
    """Revokes all keys of the account at once and issues a new one; see issue_key."""
    Account.objects.select_for_update().get(
        pk=account.pk
    )  # two rotations at once must not leave two live keys
    AccountKey.objects.filter(account=account, revoked_at=None).update(revoked_at=timezone.now())
    return issue_key(account, actor=actor)


def authenticate_key(plaintext: str) -> Account | None:
    """The account that this key opens, or None; notes the use, at most once a minute."""
    key = AccountKey.objects.matching(plaintext)
    if key is None:
        return None
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at >= KEY_USE_NOTED_EVERY:
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
    actor: User | None,
) -> Payment:
    """Writes down a payment of `days` days, at least 1. What it buys is the caller's: see instances/actions.py.

    `instance_id` is the primary key of the instance, `amount` is in units of `currency` (ISO 4217).
    """
    return Payment.objects.create(
        account=account,
        instance_id=instance_id,
        days=days,
        amount=amount,
        currency=currency,
        note=note,
        created_by=actor,
    )


@transaction.atomic
def set_rights(user: User, *, is_active: bool, is_staff: bool, is_superuser: bool, actor: User) -> User:
    """Who may sign in, see the staff pages, and do everything there. Only a superuser makes or unmakes one."""
    if is_superuser != user.is_superuser and not actor.is_superuser:
        raise PermissionError("Only a superuser may change who is one.")
    user.is_active, user.is_staff, user.is_superuser = is_active, is_staff, is_superuser
    user.save(update_fields=["is_active", "is_staff", "is_superuser"])
    return user
