"""Creates, renames, pays for and deletes instances."""

import secrets
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import CASCADE
from django.utils import timezone

from accounts import audit, quotas
from accounts.actions import payments
from accounts.audit import AuditAction
from accounts.blocking import Blocked
from accounts.models import Account, Payment, User
from accounts.quotas import Quota
from hooks.actions.endpoint_list import open_endpoint
from hooks.maintenance import deleted_instances
from instances.actions import deleted_data, events
from instances.actions.channel_links import remove_link
from instances.actions.status import change_status
from instances.models import (
    NEVER,
    AccountStatus,
    Channel,
    DeletedInstance,
    Instance,
    OutgoingQueue,
    Substatus,
    new_number,
    new_token,
)


def count_instances(account: Account) -> int:
    return Instance.objects.of_account(account).count()


INSTANCES = Quota(
    "instances",
    10,
    "Instances",
    "QUOTA_INSTANCES",
    "instances",
    "Delete an instance that you no longer need",
    count_instances,
)


def insert_with_unused_number(instance: Instance) -> Instance:
    """Insert the instance with a random number that no other has or had, also if a request takes it meanwhile.

    With 100 000 instances the first number is taken once in 19 000 times.
    """
    while True:
        instance.pk, instance.number = None, new_number()
        try:
            with transaction.atomic():
                instance.save(force_insert=True)
                # After the insert, which waits for a request that deletes the instance with this number.
                if not DeletedInstance.objects.filter(number=instance.number).exists():
                    return instance
                transaction.set_rollback(True)
        except IntegrityError:
            if not Instance.objects.filter(number=instance.number).exists():
                raise


def made_up_phone() -> str:
    """Returns a phone number for a sandbox instance. Numbers with 555 are not assigned, so it reaches no real phone."""
    return f"1555{secrets.randbelow(10**7):07}"


@transaction.atomic
def create_instance(
    account: Account, *, name: str = "", channel: str = Channel.SANDBOX, acting_user: User | None = None
) -> Instance:
    """Create an instance with its endpoint. A sandbox instance shows its QR code; others are to be linked.

    It is on trial for settings.TRIAL_DAYS; with the embedded database it does not expire.

    Raises:
        Blocked: the account is blocked; its managers can still sign in.
        QuotaExceeded: the account has as many instances as it may have.
        ValueError: the channel does not exist.
    """
    if account.blocked_at is not None:
        raise Blocked
    if channel not in Channel.values:
        raise ValueError(f"type takes one of {', '.join(Channel.values)}")
    quotas.check(quotas.lock_account(account), INSTANCES.name)
    instance = insert_with_unused_number(
        Instance(
            owner=account,
            name=name,
            channel=channel,
            account_status=Instance(channel=channel).unlinked_status,
            phone=made_up_phone() if channel == Channel.SANDBOX else "",
            paid_until=timezone.now() + timedelta(days=settings.TRIAL_DAYS)
            if settings.INSTANCES_EXPIRE
            else NEVER,
            is_trial=settings.INSTANCES_EXPIRE,
        )
    )
    OutgoingQueue.objects.create(instance=instance)
    open_endpoint(instance.pk)
    audit.record(instance, AuditAction.INSTANCE_CREATED, acting_user=acting_user, channel=instance.channel)
    return instance


@transaction.atomic
def link_sandbox(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """Record that the QR code was scanned with the sandbox phone: `loading`, then `authenticated`."""
    events.lock(instance)
    if instance.account_status != AccountStatus.AUTHENTICATED:
        change_status(instance, account_status=AccountStatus.LOADING, acting_user=acting_user)
        change_status(instance, account_status=AccountStatus.AUTHENTICATED, acting_user=acting_user)
    return instance


@transaction.atomic
def change_instance(instance: Instance, *, acting_user: User | None, name: str) -> Instance:
    """Rename the instance. `name` has up to 100 characters; if empty, "Instance" and the number are shown."""
    instance.name = name
    instance.save(update_fields=["name"])
    audit.record(instance, AuditAction.INSTANCE_RENAMED, acting_user=acting_user)
    return instance


@transaction.atomic
def change_channel(instance: Instance, *, channel: str, acting_user: User | None) -> Instance:
    """Move the instance to another channel; the same one changes nothing. It is to be linked there.

    It keeps its number, token, URLs, settings, endpoints, chats, messages and queue. The link to the old messenger is
    deleted, and what that messenger called its chats is forgotten. Messages that wait go to the new messenger.

    Raises:
        ValueError: the channel does not exist.
    """
    if channel not in Channel.values:
        raise ValueError(f"channel takes one of {', '.join(Channel.values)}")
    events.lock(instance)
    if instance.channel == channel:
        return instance
    remove_link(instance, acting_user=acting_user)
    old, instance.channel = instance.channel, channel
    instance.phone = made_up_phone() if channel == Channel.SANDBOX else ""
    instance.account_chat_id = ""
    instance.save(update_fields=["channel", "phone", "account_chat_id"])
    instance.chats.exclude(messenger_chat_id="").update(messenger_chat_id="")
    change_status(
        instance,
        account_status=instance.unlinked_status,
        substatus=Substatus.NORMAL,
        acting_user=acting_user,
    )
    audit.record(instance, AuditAction.CHANNEL_CHANGED, acting_user=acting_user, old=old, new=channel)
    return instance


@transaction.atomic
def delete_instance(instance: Instance, *, acting_user: User | None) -> None:
    """Delete the instance, unless it is deleted already. It is gone at once; its number is not used again.

    Tasks delete its messages, chats, queue, hooks and files: a million rows take minutes. Only a few rows are deleted
    here. The account keeps its payments.
    """
    if not Instance.objects.select_for_update().filter(pk=instance.pk).exists():
        return
    lock_related(instance)
    audit.record(instance, AuditAction.INSTANCE_DELETED, acting_user=acting_user)
    DeletedInstance.objects.create(pk=instance.pk, number=instance.number)
    instance.delete()
    deleted_instances.schedule_drop()
    deleted_data.schedule_drop()


def lock_related(instance: Instance) -> None:
    """Lock the rows that other transactions lock before the instance's remaining rows, in the same order.

    These transactions do not lock the instance: captures of its bin, a part of a redelivery, claims of its queue.
    Django deletes children first, so without these locks both would wait for each other. The caller holds the lock on
    the instance's row. One query per one-to-one relation, and one.
    """
    for relation in Instance._meta.related_objects:
        if relation.one_to_one and relation.on_delete is CASCADE:
            rows = relation.related_model._default_manager.filter(**{relation.field.name: instance})
            list(rows.select_for_update().values_list("pk"))
    list(instance.endpoints.order_by("pk").select_for_update().values_list("pk"))


@transaction.atomic
def rotate_token(instance: Instance, *, acting_user: User | None) -> Instance:
    """Create a new token. The old one is invalid immediately."""
    instance.token = new_token()
    instance.save(update_fields=["token", "token_digest"])
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
    """Record a payment for `days` more days, from the end of the paid period or from now, whichever is later.

    It ends the trial. An instance that does not expire stays so.
    """
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
    if instance.expires_at is not None:
        instance.paid_until = max(timezone.now(), instance.paid_until) + timedelta(days=days)
    instance.is_trial = False
    instance.save(update_fields=["paid_until", "is_trial"])
    return payment


def complete_first_steps(instance: Instance) -> None:
    """Record that the first-run checklist is complete. It is display state: it has no audit row."""
    instance.first_steps_done_at = timezone.now()
    Instance.objects.filter(pk=instance.pk, first_steps_done_at=None).update(
        first_steps_done_at=instance.first_steps_done_at
    )


def end_expiry() -> int:
    """Let no instance expire; returns how many did. For the embedded database, at every start of the product.

    Instances of version 0.1.0, and those of a database that was moved here, have an end of their trial or paid period.
    """
    return Instance.objects.filter(paid_until__lt=NEVER).update(paid_until=NEVER, is_trial=False)
