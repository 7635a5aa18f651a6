"""The instance's status machine (contract.md, section 4)."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from instances.actions import events
from instances.models import AccountStatus, Instance, LoadingReason, StatusChange, Substatus


@transaction.atomic
def change_status(
    instance: Instance,
    *,
    account_status: str | None = None,
    substatus: str | None = None,
    reason: str | None = None,
    acting_user: User | None = None,
) -> Instance:
    """Change the status, with its hook, unless nothing changes. None leaves a value unchanged.

    A new accountStatus resets the substatus to "normal" and the `reason` (a LoadingReason, only while loading) to "",
    unless they are given. A change of the reason alone creates no hook.

    Raises:
        ValueError: an unknown value, or a reason while the instance is not loading.
    """
    if account_status is not None and account_status not in AccountStatus.values:
        raise ValueError(f"accountStatus takes one of {', '.join(AccountStatus.values)}")
    if substatus is not None and substatus not in Substatus.values:
        raise ValueError(f"substatus takes one of {', '.join(Substatus.values)}")
    if reason and reason not in LoadingReason.values:
        raise ValueError(f"reason takes one of {', '.join(LoadingReason.values)}")
    events.lock(instance)
    old, old_reason = (instance.account_status, instance.substatus), instance.loading_reason
    if account_status is not None and account_status != instance.account_status:
        instance.account_status = account_status
        instance.substatus, instance.loading_reason = Substatus.NORMAL, ""
    if reason and instance.account_status != AccountStatus.LOADING:
        raise ValueError("reason is for a loading instance, and this one is not loading")
    instance.substatus = instance.substatus if substatus is None else substatus
    instance.loading_reason = instance.loading_reason if reason is None else reason
    if (*old, old_reason) == (instance.account_status, instance.substatus, instance.loading_reason):
        return instance
    instance.status_changed_at = timezone.now()
    instance.save(update_fields=["account_status", "substatus", "loading_reason", "status_changed_at"])
    if old == (instance.account_status, instance.substatus):
        return instance
    if instance.instance_statuses:
        StatusChange.objects.create(
            instance=instance,
            account_status=instance.account_status,
            substatus=instance.substatus,
            at=instance.status_changed_at,
        )
    events.emit(instance, events.of_status(instance, old=old))
    if acting_user is not None:
        audit.record(
            instance,
            AuditAction.STATUS_CHANGED,
            acting_user=acting_user,
            old=list(old),
            new=[instance.account_status, instance.substatus],
        )
    return instance


@transaction.atomic
def expire_code(instance: Instance) -> Instance:
    """Expire the QR code if it was shown for QR_CODE_LIFETIME without being scanned; otherwise change nothing."""
    events.lock(instance)
    if instance.is_code_outdated:
        change_status(instance, substatus=Substatus.EXPIRED)
    return instance


@transaction.atomic
def show_code(instance: Instance) -> Instance:
    """Change to a QR code that was just made. One that replaces another in time creates no hook."""
    events.lock(instance)
    if instance.account_status != AccountStatus.GOT_QR_CODE or instance.is_expired:
        return change_status(instance, account_status=AccountStatus.GOT_QR_CODE, substatus=Substatus.NORMAL)
    instance.status_changed_at = timezone.now()
    instance.save(update_fields=["status_changed_at"])
    return instance


@transaction.atomic
def wake(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """Change from `init` through `loading` to a QR code, if its channel has one at any time.

    An instance in another status stays unchanged.
    """
    events.lock(instance)
    if instance.account_status == AccountStatus.INIT != instance.unlinked_status:
        change_status(instance, account_status=AccountStatus.LOADING, acting_user=acting_user)
        change_status(instance, account_status=AccountStatus.GOT_QR_CODE, acting_user=acting_user)
    return instance


@transaction.atomic
def drop_statuses(*, before: datetime) -> int:
    """Delete the status history of all instances before this time; returns how many entries."""
    return StatusChange.objects.filter(at__lt=before).delete()[0]
