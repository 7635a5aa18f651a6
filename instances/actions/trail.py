"""An entry of the audit trail about an instance, written by the action in its own transaction."""

from typing import Any

from accounts.audit import Deed, note
from instances.models import Instance


def note_of(instance: Instance, deed: Deed, *, acting_user: Any, **detail: Any) -> None:
    """`detail` is JSON without secrets. The instance is named by its number, which outlives the row."""
    note(
        deed,
        acting_user=acting_user,
        kind="instance",
        key=instance.number,
        text=str(instance),
        account_id=instance.owner_id,
        **detail,
    )
