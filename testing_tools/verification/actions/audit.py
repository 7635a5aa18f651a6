"""Audit rows about a bin: filed under the instance of a verification, or under the account of an own bin."""

from __future__ import annotations

from typing import Any

from accounts import audit
from accounts.audit import AuditAction
from instances.actions.audit import record as record_for_instance
from testing_tools.verification.models import Bin


def record_for_bin(bin: Bin, action: AuditAction, *, acting_user: Any, **detail: Any) -> None:
    """`detail` is JSON without secrets: never a link's token, nor what was captured."""
    if bin.instance is not None:
        record_for_instance(bin.instance, action, acting_user=acting_user, **detail)
    else:
        audit.record(
            action,
            acting_user=acting_user,
            kind="bin",
            key=bin.pk,
            text="My bin",
            account_id=bin.account_id,
            **detail,
        )
