"""The instance's own phone in the sandbox: messages typed on it, its status, its battery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypedDict, Unpack

from django.db import transaction

from accounts.models import User
from instances.actions import events, messages
from instances.actions.status import change_status
from instances.channels.sandbox.actions import receipts
from instances.channels.sandbox.actions.preconditions import NotPossible, require_linked
from instances.models import CONNECTED, AccountStatus, Ack, Instance, LoadingReason, Message, Substatus

# Highest battery in percent → the substatus that reports it as low.
BATTERY_LOW = ((5, Substatus.BATTERY_LOW_2), (10, Substatus.BATTERY_LOW_1), (20, Substatus.BATTERY_LOW))


@transaction.atomic
def type_on_sandbox_phone(
    instance: Instance, *, chat_id: str, key: str = "", **content: Unpack[messages.MessageContent]
) -> Message:
    """Record a message typed on the sandbox's phone; contacts receive and read it like a message of the API.

    Raises:
        NotLinked: no phone is linked or connected.
        chat_ids.BadChatId, ValueError: as in messages.type_on_phone.
    """
    events.lock(instance)
    require_linked(instance, "messages typed on its phone are not sent")
    typed = messages.type_on_phone(instance, chat_id=chat_id, key=key, **content)
    [acks] = receipts.plan_receipts([receipts.SentTo(instance, typed.message_id, typed.chat.chat_id)])
    messages.record_acks(instance, [(typed, Ack(ack)) for ack in acks])
    receipts.wake_sending_loop()
    return typed


@transaction.atomic
def change_phone(
    instance: Instance,
    *,
    account_status: str | None = None,
    substatus: str | None = None,
    reason: str | None = None,
    battery: int | None = None,
    acting_user: User | None = None,
) -> Instance:
    """Change the phone's state; None leaves a value unchanged. Values and exceptions as in change_status.

    A `battery` (percent) of BATTERY_LOW or less also sets the substatus, until it is charged. A phone with another
    substatus (not connected, synchronising) keeps it.
    """
    events.lock(instance)
    change_status(
        instance, account_status=account_status, substatus=substatus, reason=reason, acting_user=acting_user
    )
    if battery is not None:
        instance.battery = battery
        instance.save(update_fields=["battery"])
        if instance.is_authenticated and substatus is None and instance.substatus in CONNECTED:
            change_status(instance, substatus=battery_substatus(battery), acting_user=acting_user)
    receipts.wake_sending_loop()
    return instance


def battery_substatus(percent: int) -> str:
    """Returns the substatus of a connected phone with this battery."""
    return next(
        (substatus.value for highest, substatus in BATTERY_LOW if percent <= highest), Substatus.NORMAL.value
    )


class StatusChange(TypedDict, total=False):
    """Arguments of change_status."""

    account_status: AccountStatus
    substatus: Substatus
    reason: LoadingReason


class PhoneEvent(NamedTuple):
    """The account statuses in which an event can happen, and the status changes it causes, in order."""

    possible_in: tuple[AccountStatus, ...]
    changes: tuple[StatusChange, ...]


AUTHENTICATED, LOADING, QR_CODE = (
    AccountStatus.AUTHENTICATED,
    AccountStatus.LOADING,
    AccountStatus.GOT_QR_CODE,
)
PHONE_EVENTS: Mapping[str, PhoneEvent] = {
    "scan": PhoneEvent(
        (QR_CODE,),
        (
            {"account_status": LOADING, "reason": LoadingReason.CONNECTING},
            {"account_status": AUTHENTICATED},
        ),
    ),
    "log_out": PhoneEvent((AUTHENTICATED, LOADING), ({"account_status": QR_CODE},)),
    "disconnect": PhoneEvent((AUTHENTICATED,), ({"substatus": Substatus.PHONE},)),
    "connect": PhoneEvent((AUTHENTICATED,), ()),
    "take_over": PhoneEvent(
        (AUTHENTICATED,), ({"account_status": LOADING, "reason": LoadingReason.CONFLICT},)
    ),
    "sync": PhoneEvent(
        (AUTHENTICATED, LOADING),
        ({"account_status": LOADING, "substatus": Substatus.SYNCING, "reason": LoadingReason.SYNCING},),
    ),
    "synced": PhoneEvent((LOADING,), ({"account_status": AUTHENTICATED},)),
}


@transaction.atomic
def apply_phone_event(instance: Instance, *, event: str, acting_user: User | None = None) -> Instance:
    """Apply an event of PHONE_EVENTS to the phone.

    Raises:
        NotPossible: the event cannot happen in the instance's accountStatus.
    """
    events.lock(instance)
    rule = PHONE_EVENTS[event]
    if instance.account_status not in rule.possible_in:
        raise NotPossible(
            f"“{event}” needs an instance that is {' or '.join(rule.possible_in)}; "
            f"it is {instance.account_status}."
        )
    for change in rule.changes:
        change_status(instance, **change, acting_user=acting_user)
    if instance.is_authenticated and event in ("connect", "synced", "scan"):
        change_status(instance, substatus=battery_substatus(instance.battery), acting_user=acting_user)
        receipts.wake_sending_loop()
    return instance
