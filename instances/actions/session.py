"""What the buttons of the status do to an instance (contract.md, section 4), as a messenger would carry them out.

A channel calls these when its messenger has obeyed; the sandbox's does at once. Each is a change of the status, so
its hook goes out and the history has it. One that does not apply changes nothing.
"""

from django.db import transaction

from accounts.models import User
from instances.actions import events
from instances.actions.status import change_status, wake
from instances.models import AccountStatus, Instance, LoadingReason, Substatus

# They are of the phone, and a session that begins anew finds the same phone.
OF_THE_PHONE = (
    Substatus.PHONE,
    Substatus.BATTERY_LOW,
    Substatus.BATTERY_LOW_1,
    Substatus.BATTERY_LOW_2,
)


@transaction.atomic
def log_out(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """Unlinks the phone; the next QR code waits to be scanned."""
    events.lock(instance)
    if instance.account_status in (AccountStatus.AUTHENTICATED, AccountStatus.LOADING):
        change_status(instance, account_status=AccountStatus.GOT_QR_CODE, acting_user=acting_user)
    return instance


@transaction.atomic
def renew_code(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """A new QR code in place of one, or of a whole session, that has expired."""
    events.lock(instance)
    if instance.substatus == Substatus.EXPIRED:
        change_status(
            instance,
            account_status=AccountStatus.GOT_QR_CODE,
            substatus=Substatus.NORMAL,
            acting_user=acting_user,
        )
    return instance


@transaction.atomic
def take_over(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """Ends the session that another browser has opened, and goes on here."""
    events.lock(instance)
    if instance.why_loading == LoadingReason.CONFLICT:
        connect(instance, acting_user=acting_user)
    return instance


@transaction.atomic
def retry(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """Synchronises once more, and this time to the end."""
    events.lock(instance)
    if instance.why_loading == LoadingReason.SYNCING:
        connect(instance, acting_user=acting_user)
    return instance


@transaction.atomic
def reboot(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """Starts the messenger anew: a session goes on where it was, whoever waits for a scan gets a new code."""
    events.lock(instance)
    if instance.account_status == AccountStatus.INIT:
        return wake(instance, acting_user=acting_user)
    if instance.account_status == AccountStatus.GOT_QR_CODE:
        change_status(instance, account_status=AccountStatus.LOADING, acting_user=acting_user)
        return change_status(instance, account_status=AccountStatus.GOT_QR_CODE, acting_user=acting_user)
    return connect(instance, acting_user=acting_user)


def connect(instance: Instance, *, acting_user: User | None) -> Instance:
    """By `loading` to `authenticated`; the caller holds the lock."""
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
