"""The instance's status machine (contract.md, section 4)."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from instances.actions import events
from instances.models import AccountStatus, Instance, StatusChange, Substatus


@transaction.atomic
def change_status(
    instance: Instance,
    *,
    account_status: str | None = None,
    substatus: str | None = None,
    actor: Any = None,
) -> Instance:
    """The phone, or a person, has changed the status; what is None stays. No change, no hook.

    A new accountStatus without a substatus starts as "normal". Raises ValueError for an unknown word.
    """
    if account_status is not None and account_status not in AccountStatus.values:
        raise ValueError(f"accountStatus takes one of {', '.join(AccountStatus.values)}")
    if substatus is not None and substatus not in Substatus.values:
        raise ValueError(f"substatus takes one of {', '.join(Substatus.values)}")
    events.lock(instance)
    old = (instance.account_status, instance.substatus)
    if account_status is not None and account_status != instance.account_status:
        instance.account_status = account_status
        instance.substatus = Substatus.NORMAL
    if substatus is not None:
        instance.substatus = substatus
    if old == (instance.account_status, instance.substatus):
        return instance
    instance.status_changed_at = timezone.now()
    instance.save(update_fields=["account_status", "substatus", "status_changed_at"])
    if instance.instance_statuses:
        StatusChange.objects.create(
            instance=instance,
            account_status=instance.account_status,
            substatus=instance.substatus,
            at=instance.status_changed_at,
        )
    events.emit(instance, events.of_status(instance, old=old))
    return instance


@transaction.atomic
def expire_code(instance: Instance) -> Instance:
    """A QR code that has lived CODE_LIVES, and was not scanned, is over; any other instance stays as it is."""
    events.lock(instance)
    if instance.code_is_over:
        change_status(instance, substatus=Substatus.EXPIRED)
    return instance


@transaction.atomic
def wake(instance: Instance, *, actor: Any = None) -> Instance:
    """From `init` by `loading` to a QR code; an instance that is awake already stays as it is."""
    events.lock(instance)
    if instance.account_status == AccountStatus.INIT:
        change_status(instance, account_status=AccountStatus.LOADING, actor=actor)
        change_status(instance, account_status=AccountStatus.GOT_QR_CODE, actor=actor)
    return instance
