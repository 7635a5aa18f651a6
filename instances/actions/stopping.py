"""Staff stops and starts an instance, or blocks and unblocks an account with all its instances.

A stopped instance accepts no call of the wire contract and sends no messages and no hooks. Events that the messenger
reports are recorded, and their hooks skipped with the reason. Hooks queued before are held until it is started.
"""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.actions import accounts as account_actions
from accounts.audit import AuditAction
from accounts.models import Account, User
from hooks.actions import stopping
from instances.actions import events
from instances.models import Instance, StopReason


@transaction.atomic
def stop_instance(instance: Instance, *, reason: str, acting_user: User | None) -> bool:
    """Stop the instance; returns False if it is stopped. With a blocked account, it stays stopped after the block."""
    events.lock(instance)
    if instance.stop_reason == StopReason.BLOCKED:
        instance.stop_reason = StopReason.STAFF
        instance.save(update_fields=["stop_reason"])
    elif instance.is_stopped:
        return False
    else:
        hold(instance, StopReason.STAFF, at=timezone.now())
    audit.record(instance, AuditAction.INSTANCE_STOPPED, acting_user=acting_user, reason=reason)
    return True


@transaction.atomic
def start_instance(instance: Instance, *, acting_user: User | None) -> bool:
    """Start the instance; returns False if it is not stopped, or is stopped only because its account is blocked."""
    events.lock(instance)
    if not instance.is_stopped or instance.stop_reason == StopReason.BLOCKED:
        return False
    audit.record(instance, AuditAction.INSTANCE_STARTED, acting_user=acting_user)
    if instance.owner.blocked_at is not None:
        instance.stop_reason = StopReason.BLOCKED
        instance.save(update_fields=["stop_reason"])
    else:
        resume(instance)
    return True


@transaction.atomic
def block_account(account: Account, *, reason: str, acting_user: User) -> bool:
    """Refuse the account's members and keys, and stop its instances. Returns False if it is blocked."""
    if not account_actions.block_account(account, reason=reason, acting_user=acting_user):
        return False
    at = timezone.now()
    running = Instance.objects.filter(owner=account, stopped_at=None).order_by("pk")
    for instance in running.select_for_update(no_key=True):
        hold(instance, StopReason.BLOCKED, at=at)
    return True


@transaction.atomic
def unblock_account(account: Account, *, acting_user: User) -> bool:
    """Accept members and keys again, and start the instances that the block stopped. Returns False if not blocked."""
    if not account_actions.unblock_account(account, acting_user=acting_user):
        return False
    held = Instance.objects.filter(owner=account, stop_reason=StopReason.BLOCKED).order_by("pk")
    for instance in held.select_for_update(no_key=True):
        resume(instance)
    return True


def hold(instance: Instance, reason: StopReason, *, at: datetime) -> None:
    """Stop the instance and its endpoints. The caller holds the lock on its row."""
    instance.stopped_at, instance.stop_reason = at, reason
    instance.save(update_fields=["stopped_at", "stop_reason"])
    stopping.hold(instance.pk, at=at)


def resume(instance: Instance) -> None:
    """Start the instance and its endpoints. The caller holds the lock on its row."""
    since, instance.stopped_at, instance.stop_reason = instance.stopped_at, None, ""
    instance.save(update_fields=["stopped_at", "stop_reason"])
    if since is not None:
        stopping.release(instance.pk, at=since)
