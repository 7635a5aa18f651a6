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
    """The phone, or a person, has changed the status; what is None stays. No change, no hook.

    A new accountStatus without a substatus starts as "normal", without a `reason` (LoadingReason, while it is
    loading alone) as "": nobody knows more. A new reason is no event: no hook tells it. Raises ValueError for an
    unknown word, and for a reason of a status that has none.
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
        raise ValueError("reason says why an instance is loading, and this one is not")
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
    """A QR code that has lived CODE_LIVES, and was not scanned, is over; any other instance stays as it is."""
    events.lock(instance)
    if instance.code_is_over:
        change_status(instance, substatus=Substatus.EXPIRED)
    return instance


@transaction.atomic
def wake(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """From `init` by `loading` to a QR code; an instance that is awake already stays as it is."""
    events.lock(instance)
    if instance.account_status == AccountStatus.INIT:
        change_status(instance, account_status=AccountStatus.LOADING, acting_user=acting_user)
        change_status(instance, account_status=AccountStatus.GOT_QR_CODE, acting_user=acting_user)
    return instance


@transaction.atomic
def drop_statuses(*, before: datetime) -> int:
    """The history of all instances loses what is older; how many changes that were."""
    return StatusChange.objects.filter(at__lt=before).delete()[0]
