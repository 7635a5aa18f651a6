"""Resets the sandbox of an instance."""

from django.db import transaction

from accounts.models import User
from instances.actions import events
from instances.actions.sending import message_queue
from instances.actions.status import change_status
from instances.models import (
    AccountStatus,
    Chat,
    Instance,
    QueuedAction,
    SandboxContact,
    SandboxReceipt,
    Substatus,
)

BATTERY_FULL = 90  # percent


@transaction.atomic
def reset_sandbox(instance: Instance, *, acting_user: User | None = None) -> Instance:
    """Delete contacts, chats, messages and queues, and link the phone with a full battery.

    Settings, hooks and the log stay. Message numbers continue, because a client that reads from the last number it
    knows must not miss the next message.
    """
    events.lock(instance)
    message_queue.delete_messages(instance)
    for model in (SandboxReceipt, SandboxContact, QueuedAction, Chat):
        model.objects.filter(instance=instance).delete()
    instance.battery = BATTERY_FULL
    instance.save(update_fields=["battery"])
    change_status(
        instance,
        account_status=AccountStatus.AUTHENTICATED,
        substatus=Substatus.NORMAL,
        acting_user=acting_user,
    )
    return instance
