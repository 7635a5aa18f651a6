"""The queue of actions, shown and emptied (contract.md, section 2)."""

from typing import Any

from instances.actions.sending.command_queue import clear_actions
from instances.contract.registry import method
from instances.models import Instance, QueuedAction

SHOWN = 100


@method("showActionsQueue", "GET")
def show_actions_queue(instance: Instance) -> dict[str, Any]:
    """How many wait, and the first of them; `last_try` in unix seconds, 0 before the first."""
    waiting = QueuedAction.objects.filter(instance=instance)
    first = list(waiting[:SHOWN])
    return {
        "totalActions": len(first) if len(first) < SHOWN else waiting.count(),
        "first100": [
            {
                "id": action.pk,
                "type": action.type,
                "last_try": int(action.last_try_at.timestamp()) if action.last_try_at else 0,
                "json_data": action.data,
            }
            for action in first
        ],
    }


@method("clearActionsQueue", "POST")
def clear_actions_queue(instance: Instance) -> dict[str, Any]:
    """Empties the queue; the example is the types of the first that were in it."""
    types = clear_actions(instance)
    return {"message": f"Cleared {len(types)} actions", "actionsExample": types[:SHOWN]}
