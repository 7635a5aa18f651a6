"""Audit rows about instances. Each action writes its row in its own transaction, through `record`."""

from typing import Any

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from instances.models import Instance


def record(instance: Instance, action: AuditAction, *, acting_user: User | None, **detail: Any) -> None:
    """Write one audit row about the instance in the caller's transaction.

    `acting_user` is None for a program or the holder of the instance's token. `detail` is JSON without secrets. The
    row names the instance by its number, which stays readable after the instance is deleted.

    Raises:
        TransactionManagementError: called outside a transaction.
    """
    audit.record(
        action,
        acting_user=acting_user,
        kind="instance",
        key=instance.number,
        text=str(instance),
        account_id=instance.owner_id,
        **detail,
    )
