"""Resets the sandbox of an instance."""

from django.db import transaction

from accounts.models import User
from instances.actions import events
from instances.actions.cleaning import delete_data
from instances.actions.status import change_status
from instances.models import (
    AccountStatus,
    Chat,
    Instance,
    Message,
    OutgoingMessage,
    QueuedAction,
    SandboxContact,
    SandboxReceipt,
    SendingTry,
    Substatus,
)

BATTERY_FULL = 90  # percent
DELETED = (QueuedAction, SandboxReceipt, SandboxContact, OutgoingMessage, Message, SendingTry, Chat)


@transaction.atomic
def reset_sandbox(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """Delete contacts, chats, messages and queues, and link the phone with a full battery.

    Settings, hooks and the log stay. Message numbers continue, because a client that reads from the last number it
    knows must not miss the next message.
    """
    events.lock(instance)
    delete_data(instance, DELETED)
    instance.battery = BATTERY_FULL
    instance.save(update_fields=["battery"])
    change_status(
        instance,
        account_status=AccountStatus.AUTHENTICATED,
        substatus=Substatus.NORMAL,
        acting_user=acting_user,
    )
    return instance
