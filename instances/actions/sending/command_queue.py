"""The queue of actions: what a channel is to do besides messages and cannot do yet (contract.md, section 2)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from accounts.models import User
from instances.actions import events
from instances.actions.chats.chats import Denied
from instances.models import DIRECT_ACTIONS, Instance, QueuedAction

ACTIONS_LIMIT = 400  # of one instance, as many as messages; *ours*


@transaction.atomic
def enqueue_action(instance: Instance, *, type: str, data: Mapping[str, Any]) -> QueuedAction:
    """Puts an action behind those that wait. `data` as QueuedAction has it. Raises Denied when the queue is full.

    Raises ValueError for an action that is done at once or not at all (DIRECT_ACTIONS).
    """
    if type in DIRECT_ACTIONS:
        raise ValueError(f"{type} cannot wait")
    events.lock(instance)
    if QueuedAction.objects.filter(instance=instance).count() >= ACTIONS_LIMIT:
        raise Denied(f"The queue holds {ACTIONS_LIMIT} actions, which is the limit.")
    return QueuedAction.objects.create(instance=instance, type=type, data=dict(data))


def claim_action(pk: int, *, now: datetime, again_after: timedelta) -> bool:
    """Is this action the caller's to carry out? No if somebody tried it less than `again_after` ago, or it is gone."""
    free = Q(last_try_at=None) | Q(last_try_at__lte=now - again_after)
    return bool(QueuedAction.objects.filter(free, pk=pk).update(last_try_at=now))


@transaction.atomic
def finish_action(action: QueuedAction) -> bool:
    """Takes an action that was done, or will never be, off the queue; False: it was cleared meanwhile."""
    return bool(QueuedAction.objects.filter(pk=action.pk).delete()[0])


@transaction.atomic
def clear_actions(instance: Instance, *, acting_user: User | None = None) -> list[str]:
    """Empties the queue; the types of what was in it, in order."""
    events.lock(instance)
    waiting = list(QueuedAction.objects.filter(instance=instance).values_list("pk", "type"))
    QueuedAction.objects.filter(pk__in=[pk for pk, _ in waiting]).delete()
    return [type for _, type in waiting]
