"""Records what the status buttons do (contract.md, section 4), when the messenger has carried them out.

A channel calls these; the sandbox does so immediately. Each changes the status, so it creates a hook and an entry of
the status history. A button that does not apply changes nothing.
"""

from django.db import transaction

from accounts.models import User
from instances.actions import events
from instances.actions.status import change_status, wake
from instances.models import AccountStatus, Instance, LoadingReason, Substatus

# They describe the phone, and a new session has the same phone.
OF_THE_PHONE = (
    Substatus.PHONE,
    Substatus.BATTERY_LOW,
    Substatus.BATTERY_LOW_1,
    Substatus.BATTERY_LOW_2,
)


@transaction.atomic
def log_out(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """End the session: the sandbox shows a new QR code, an account of another messenger is to be linked again."""
    events.lock(instance)
    if instance.has_session:
        change_status(instance, account_status=instance.unlinked_status, acting_user=acting_user)
    return instance


@transaction.atomic
def renew_code(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """Replace an expired QR code or session by a new QR code."""
    events.lock(instance)
    if instance.is_expired:
        change_status(
            instance,
            account_status=AccountStatus.GOT_QR_CODE,
            substatus=Substatus.NORMAL,
            acting_user=acting_user,
        )
    return instance


@transaction.atomic
def take_over(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """End the session in another browser and continue here."""
    events.lock(instance)
    if instance.is_taken_over:
        connect(instance, acting_user=acting_user)
    return instance


@transaction.atomic
def retry(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """Synchronise again, successfully."""
    events.lock(instance)
    if instance.is_syncing:
        connect(instance, acting_user=acting_user)
    return instance


@transaction.atomic
def reboot(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """Restart the messenger. A linked instance reconnects; one that waits to be scanned gets a new QR code."""
    events.lock(instance)
    if instance.account_status == AccountStatus.INIT:
        return wake(instance, acting_user=acting_user)
    if instance.account_status == AccountStatus.GOT_QR_CODE:
        change_status(instance, account_status=AccountStatus.LOADING, acting_user=acting_user)
        return change_status(instance, account_status=AccountStatus.GOT_QR_CODE, acting_user=acting_user)
    return connect(instance, acting_user=acting_user)


def connect(instance: Instance, *, acting_user: User | None) -> Instance:
    """Change to `loading`, then to `authenticated`. The caller holds the lock."""
    found = instance.substatus if instance.substatus in OF_THE_PHONE else Substatus.NORMAL
    change_status(
        instance,
        account_status=AccountStatus.LOADING,
        substatus=Substatus.NORMAL,
        reason=LoadingReason.CONNECTING,
        acting_user=acting_user,
    )
    return change_status(
        instance, account_status=AccountStatus.AUTHENTICATED, substatus=found, acting_user=acting_user
    )
