"""The queue of commands: what a channel has to do besides messages and cannot do yet (contract.md, section 2)."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from instances.actions import events
from instances.actions.chats.chats import Denied
from instances.command_payloads import command_data
from instances.commands import QueueableCommand
from instances.models import Instance, QueuedAction

ACTIONS_LIMIT = 400  # of one instance, as many as messages; *ours*


@transaction.atomic
def enqueue_command(instance: Instance, *, command: QueueableCommand) -> QueuedAction:
    """Append a command to the queue.

    Raises:
        Denied: the queue is full.
    """
    events.lock(instance)
    if QueuedAction.objects.filter(instance=instance).count() >= ACTIONS_LIMIT:
        raise Denied(f"The queue holds {ACTIONS_LIMIT} actions, which is the limit.")
    return QueuedAction.objects.create(instance=instance, type=command.type, data=command_data(command))


def claim_action(pk: int, *, now: datetime, retry_after: timedelta) -> bool:
    """Returns whether the caller may carry out this action: it exists and was last tried `retry_after` ago or never."""
    free = Q(last_try_at=None) | Q(last_try_at__lte=now - retry_after)
    return bool(QueuedAction.objects.filter(free, pk=pk).update(last_try_at=now))


@transaction.atomic
def finish_action(action: QueuedAction) -> bool:
    """Delete an action that was carried out or dropped. Returns False if the queue was cleared in the meantime."""
    return bool(QueuedAction.objects.filter(pk=action.pk).delete()[0])


@transaction.atomic
def clear_actions(instance: Instance) -> list[str]:
    """Empty the queue; returns the types of its actions, in order."""
    events.lock(instance)
    waiting = list(QueuedAction.objects.filter(instance=instance).values_list("pk", "type"))
    QueuedAction.objects.filter(pk__in=[pk for pk, _ in waiting]).delete()
    return [type for _, type in waiting]
