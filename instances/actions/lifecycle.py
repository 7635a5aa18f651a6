"""An instance from its making to its deletion, and what is paid for it."""

import secrets
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.actions import payments
from accounts.audit import AuditAction
from accounts.blocking import Blocked
from accounts.models import Account, Payment, User
from hooks.actions.endpoints import open_endpoint
from hooks.maintenance import deleted_instances
from instances.actions import events
from instances.actions.status import change_status
from instances.models import AccountStatus, Channel, Instance, OutgoingQueue, new_number, new_token


def free_number() -> int:
    """A number that no instance has; with 100 000 instances the first try fails once in 19 000 times."""
    number = new_number()
    while Instance.objects.filter(number=number).exists():
        number = new_number()
    return number


def made_up_phone() -> str:
    """Returns a phone number for a sandbox instance. Numbers with 555 are not assigned, so it reaches no real phone."""
    return f"1555{secrets.randbelow(10**7):07}"


@transaction.atomic
def create_instance(
    account: Account, *, name: str = "", channel: str = Channel.SANDBOX, acting_user: User | None = None
) -> Instance:
    """A new instance that shows its QR code, paid for settings.TRIAL_DAYS, with its endpoint for hooks.

    Raises Blocked for a blocked account, whose managers can still sign in.
    """
    if account.blocked_at is not None:
        raise Blocked
    if channel not in Channel.values:
        raise ValueError(f"type takes one of {', '.join(Channel.values)}")
    instance = Instance.objects.create(
        owner=account,
        number=free_number(),
        name=name,
        channel=channel,
        account_status=AccountStatus.GOT_QR_CODE,
        phone=made_up_phone() if channel == Channel.SANDBOX else "",
        paid_until=timezone.now() + timedelta(days=settings.TRIAL_DAYS),
    )
    OutgoingQueue.objects.create(instance=instance)
    open_endpoint(instance.pk)
    audit.record(instance, AuditAction.INSTANCE_CREATED, acting_user=acting_user, channel=instance.channel)
    return instance


@transaction.atomic
def link_sandbox(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """The QR code was scanned with the sandbox phone: `loading`, then `authenticated`."""
    events.lock(instance)
    if instance.account_status != AccountStatus.AUTHENTICATED:
        change_status(instance, account_status=AccountStatus.LOADING, acting_user=acting_user)
        change_status(instance, account_status=AccountStatus.AUTHENTICATED, acting_user=acting_user)
    return instance


@transaction.atomic
def change_instance(instance: Instance, *, acting_user: User | None, name: str) -> Instance:
    """`name` up to 100 characters; the empty one falls back to "Instance" and the number."""
    instance.name = name
    instance.save(update_fields=["name"])
    audit.record(instance, AuditAction.INSTANCE_RENAMED, acting_user=acting_user)
    return instance


@transaction.atomic
def delete_instance(instance: Instance, *, acting_user: User | None) -> None:
    """The instance with its chats, messages and queue; hooks and attempts follow. Its payments stay in the account."""
    audit.record(instance, AuditAction.INSTANCE_DELETED, acting_user=acting_user)
    instance.delete()
    deleted_instances.ask_to_drop()


@transaction.atomic
def rotate_token(instance: Instance, *, acting_user: User | None) -> Instance:
    """A new token; the old one is wrong from now on."""
    instance.token = new_token()
    instance.save(update_fields=["token"])
    audit.record(instance, AuditAction.TOKEN_ROTATED, acting_user=acting_user)
    return instance


@transaction.atomic
def record_payment(
    instance: Instance,
    *,
    days: int,
    amount: Decimal | int = 0,
    currency: str = "USD",
    note: str = "",
    acting_user: User | None = None,
) -> Payment:
    """`days` more days, counted from the end of what is paid already or from now, whichever is later."""
    events.lock(instance)
    payment = payments.record_payment(
        instance.owner,
        instance_id=instance.pk,
        days=days,
        amount=Decimal(amount),
        currency=currency,
        note=note,
        acting_user=acting_user,
    )
    instance.paid_until = max(timezone.now(), instance.paid_until) + timedelta(days=days)
    instance.save(update_fields=["paid_until"])
    return payment
