"""The sandbox's own phone: what is typed on it, its connection, its battery."""

from __future__ import annotations

from typing import Any, Unpack

from django.db import transaction

from accounts.models import User
from instances.actions import events, messages
from instances.actions.status import change_status
from instances.channels.sandbox.actions import receipts
from instances.channels.sandbox.actions.preconditions import NotPossible, must_be_linked
from instances.models import CONNECTED, AccountStatus, Ack, Instance, LoadingReason, Message, Substatus

# the battery in percent, at or below which the substatus reports it as low
BATTERY_LOW = ((5, Substatus.BATTERY_LOW_2), (10, Substatus.BATTERY_LOW_1), (20, Substatus.BATTERY_LOW))


@transaction.atomic
def type_by_hand(
    instance: Instance, *, chat_id: str, key: str = "", **content: Unpack[messages.MessageContent]
) -> Message:
    """Record a message typed on the sandbox's phone; contacts receive and read it like a message of the API.

    Raises:
        NotLinked: no phone is linked or connected.
        chat_ids.BadChatId, ValueError: as in messages.type_on_phone.
    """
    events.lock(instance)
    must_be_linked(instance, "nothing that is typed on its phone goes out")
    typed = messages.type_on_phone(instance, chat_id=chat_id, key=key, **content)
    acks = receipts.plan_receipts(instance, message_id=typed.message_id, chat_id=typed.chat.chat_id)
    messages.record_acks(instance, [(typed, Ack(ack)) for ack in acks])
    receipts.wake()
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
    receipts.wake()
    return instance


def battery_substatus(percent: int) -> str:
    """Returns the substatus of a connected phone with this battery."""
    return next((word.value for most, word in BATTERY_LOW if percent <= most), Substatus.NORMAL.value)


@transaction.atomic
def phone_event(instance: Instance, *, event: str, acting_user: User | None = None) -> Instance:
    """Apply an event of PHONE_EVENTS to the phone.

    Raises:
        NotPossible: the event cannot happen in the instance's accountStatus.
    """
    events.lock(instance)
    rule = PHONE_EVENTS[event]
    if rule["from"] and instance.account_status not in rule["from"]:
        raise NotPossible(
            f"“{event}” needs an instance that is {' or '.join(rule['from'])}; "
            f"it is {instance.account_status}."
        )
    for step in rule["steps"]:
        change_status(instance, **step, acting_user=acting_user)
    if instance.is_authenticated and event in ("connect", "synced", "scan"):
        change_status(instance, substatus=battery_substatus(instance.battery), acting_user=acting_user)
        receipts.wake()
    return instance


AUTHENTICATED, LOADING, CODE = AccountStatus.AUTHENTICATED, AccountStatus.LOADING, AccountStatus.GOT_QR_CODE
# Event → the accountStatus in which it can happen (empty: any), and the status changes it causes.
PHONE_EVENTS: dict[str, dict[str, Any]] = {
    "scan": {
        "from": (CODE,),
        "steps": (
            {"account_status": LOADING, "reason": LoadingReason.CONNECTING},
            {"account_status": AUTHENTICATED},
        ),
    },
    "log_out": {"from": (AUTHENTICATED, LOADING), "steps": ({"account_status": CODE},)},
    "disconnect": {"from": (AUTHENTICATED,), "steps": ({"substatus": Substatus.PHONE},)},
    "connect": {"from": (AUTHENTICATED,), "steps": ()},
    "take_over": {
        "from": (AUTHENTICATED,),
        "steps": ({"account_status": LOADING, "reason": LoadingReason.CONFLICT},),
    },
    "sync": {
        "from": (AUTHENTICATED, LOADING),
        "steps": (
            {"account_status": LOADING, "substatus": Substatus.SYNCING, "reason": LoadingReason.SYNCING},
        ),
    },
    "synced": {"from": (LOADING,), "steps": ({"account_status": AUTHENTICATED},)},
}
