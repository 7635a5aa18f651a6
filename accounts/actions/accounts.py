"""Changes to an account: rename, block and unblock, and set its quotas."""

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import Account, User


@transaction.atomic
def rename_account(account: Account, *, name: str, acting_user: User) -> Account:
    """Rename the account. `name` has up to 100 characters; if empty, the e-mail address is shown."""
    account.name = name
    account.save(update_fields=["name"])
    audit.record(account, AuditAction.ACCOUNT_RENAMED, acting_user=acting_user)
    return account


@transaction.atomic
def block_account(account: Account, *, reason: str, acting_user: User) -> bool:
    """Block the account: its users and keys are refused. Returns False if it is already blocked.

    instances/actions/stopping.py calls this and stops the instances.
    """
    row = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    if row.blocked_at is not None:
        return False
    account.blocked_at, account.blocked_reason = timezone.now(), reason
    account.save(update_fields=["blocked_at", "blocked_reason"])
    audit.record(account, AuditAction.ACCOUNT_BLOCKED, acting_user=acting_user, reason=reason)
    return True


@transaction.atomic
def unblock_account(account: Account, *, acting_user: User) -> bool:
    """Accept the account's users and keys again; returns False if it is not blocked."""
    row = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    if row.blocked_at is None:
        return False
    account.blocked_at, account.blocked_reason = None, ""
    account.save(update_fields=["blocked_at", "blocked_reason"])
    audit.record(account, AuditAction.ACCOUNT_UNBLOCKED, acting_user=acting_user)
    return True


@transaction.atomic
def set_quota(
    account: Account, *, name: str, limit: int | None, acting_user: User | None, reason: str = ""
) -> Account:
    """Set the account's own limit of one quota, in bytes for quotas of bytes; None: the site's default.

    A limit below the usage deletes nothing; it stops what would add more.
    """
    row = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    own = {key: value for key, value in row.own_quotas.items() if key != name}
    account.own_quotas = own if limit is None else own | {name: limit}
    account.save(update_fields=["own_quotas"])
    audit.record(
        account, AuditAction.QUOTA_SET, acting_user=acting_user, quota=name, limit=limit, reason=reason
    )
    return account
