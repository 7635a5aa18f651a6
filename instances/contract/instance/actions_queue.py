"""Shows and clears the queue of actions (contract.md §2)."""

from typing import Any

from instances.actions.sending.command_queue import clear_actions
from instances.contract.registry import method
from instances.models import Instance, QueuedAction

MAX_SHOWN = 100


@method("showActionsQueue", "GET")
def show_actions_queue(instance: Instance) -> dict[str, Any]:
    """Returns the number of waiting actions and the first 100. `last_try`: unix seconds, 0 before the first try."""
    waiting = QueuedAction.objects.filter(instance=instance)
    first = list(waiting[:MAX_SHOWN])
    return {
        "totalActions": len(first) if len(first) < MAX_SHOWN else waiting.count(),
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
    """Clears the queue. `actionsExample` has the types of the first hundred actions that were in it."""
    types = clear_actions(instance)
    return {"message": f"Cleared {len(types)} actions", "actionsExample": types[:MAX_SHOWN]}
