"""Writes the actions that hooks reports (hooks/audit.py) into the audit log; hooks does not know the audit log."""

from typing import Any

from accounts import audit
from accounts.audit import AuditAction
from instances.models import Instance


def record_hook_action(action: str, *, acting_user: Any, instance_id: int, hook: Any, **detail: Any) -> None:
    """Write an audit entry about the instance, with the hook's id if there is one."""
    instance = Instance.objects.only("number", "name", "owner_id").get(pk=instance_id)
    if hook is not None:
        detail["hook"] = hook.webhook_id
    audit.record(instance, AuditAction(action), acting_user=acting_user, **detail)
