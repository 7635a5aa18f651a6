"""Audit rows about a bin: written for its instance or, for a user's own bin, for the account."""

from __future__ import annotations

from typing import Any

from accounts import audit as account_audit
from accounts.audit import AuditAction
from accounts.models import User
from instances.actions import audit as instance_audit
from testing_tools.verification.models import Bin


def record(bin: Bin, action: AuditAction, *, acting_user: User | None, **detail: Any) -> None:
    """Write one audit row in the caller's transaction.

    `detail` is JSON without secrets: never a link's token, never what was captured.
    """
    if bin.instance is not None:
        instance_audit.record(bin.instance, action, acting_user=acting_user, **detail)
    else:
        account_audit.record(
            action,
            acting_user=acting_user,
            kind="bin",
            key=bin.pk,
            text="My bin",
            account_id=bin.account_id,
            **detail,
        )
