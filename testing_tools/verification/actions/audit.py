"""Entries of the audit trail about a bin: an instance's stand with that instance, one's own with the account."""

from __future__ import annotations

from typing import Any

from accounts.audit import Deed, note
from instances.actions import audit
from testing_tools.verification.models import Bin


def note_of(bin: Bin, deed: Deed, *, acting_user: Any, **detail: Any) -> None:
    """`detail` is JSON without secrets: never a link's token, nor what was captured."""
    if bin.instance is not None:
        audit.record(bin.instance, deed, acting_user=acting_user, **detail)
    else:
        note(
            deed,
            acting_user=acting_user,
            kind="bin",
            key=bin.pk,
            text="My bin",
            account_id=bin.account_id,
            **detail,
        )
