"""Staff stops an instance, or blocks an account with all its instances, and lets both go on again.

Nothing goes in or out of a stopped instance: no call of the wire contract is carried out, no message is sent, no hook
leaves. Events that the messenger still reports are recorded, and their hooks skipped with the reason; what waited
before is held back and goes on at the start.
"""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.actions import accounts as account_actions
from accounts.audit import AuditAction
from accounts.models import Account, User
from hooks.actions import stopping
from hooks.models import Endpoint
from instances.actions import events
from instances.models import Instance, StopReason


@transaction.atomic
def stop_instance(instance: Instance, *, reason: str, acting_user: User | None) -> bool:
    """False when it is stopped already; one of a blocked account is then stopped beyond the block's end."""
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
    """False when it is not stopped, or its account is blocked: then the account must be unblocked."""
    events.lock(instance)
    if not instance.is_stopped or instance.stop_reason == StopReason.BLOCKED:
        return False
    audit.record(instance, AuditAction.INSTANCE_STARTED, acting_user=acting_user)
    if instance.owner.blocked_at is not None:
        instance.stop_reason = StopReason.BLOCKED
        instance.save(update_fields=["stop_reason"])
    else:
        go_on(instance)
    return True


@transaction.atomic
def block_account(account: Account, *, reason: str, acting_user: User) -> bool:
    """Turn its people and keys away, and stop its instances. False when it is blocked already."""
    if not account_actions.block_account(account, reason=reason, acting_user=acting_user):
        return False
    at = timezone.now()
    running = Instance.objects.filter(owner=account, stopped_at=None).order_by("pk")
    for instance in running.select_for_update(no_key=True):
        hold(instance, StopReason.BLOCKED, at=at)
    return True


@transaction.atomic
def unblock_account(account: Account, *, acting_user: User) -> bool:
    """Let all go on but the instances that were stopped by themselves. False when it is not blocked."""
    if not account_actions.unblock_account(account, acting_user=acting_user):
        return False
    held = Instance.objects.filter(owner=account, stop_reason=StopReason.BLOCKED).order_by("pk")
    for instance in held.select_for_update(no_key=True):
        go_on(instance)
    return True


def hold(instance: Instance, reason: StopReason, *, at: datetime) -> None:
    """The row is locked by the caller."""
    instance.stopped_at, instance.stop_reason = at, reason
    instance.save(update_fields=["stopped_at", "stop_reason"])
    stopping.hold(Endpoint(pk=instance.pk), at=at)


def go_on(instance: Instance) -> None:
    """The row is locked by the caller."""
    since, instance.stopped_at, instance.stop_reason = instance.stopped_at, None, ""
    instance.save(update_fields=["stopped_at", "stop_reason"])
    if since is not None:
        stopping.release(Endpoint(pk=instance.pk), at=since)
