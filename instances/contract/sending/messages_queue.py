"""The queue of messages that wait to be sent: looking at it, and emptying it (contract.md, section 2)."""

from typing import Any

from instances.actions.sending.message_queue import clear_messages
from instances.contract.registry import method
from instances.models import Instance, OutgoingMessage

SHOWN = 100


@method("showMessagesQueue", "GET")
def show_messages_queue(instance: Instance) -> dict[str, Any]:
    """How many messages wait, and the first hundred of them; `last_try` in unix seconds, 0 before the first."""
    waiting = OutgoingMessage.objects.filter(instance=instance).order_by("queue_number")[:SHOWN]
    return {
        "totalMessages": instance.queue.length,
        "first100": [
            {
                "id": outgoing.queue_number,
                "body": outgoing.body,
                "type": outgoing.type,
                "chatId": outgoing.chat_id,
                "last_try": int(outgoing.last_try_at.timestamp()) if outgoing.last_try_at else 0,
                "metadata": outgoing.metadata or {},
            }
            for outgoing in waiting
        ],
    }


@method("clearMessagesQueue", "POST")
def clear_messages_queue(instance: Instance) -> dict[str, Any]:
    """Empties the queue. A message that the messenger has in hand at this moment is sent all the same."""
    gone, in_hand, texts = clear_messages(instance)
    message = f"{gone} {'message was' if gone == 1 else 'messages were'} removed from the queue."
    if in_hand:
        message += f" {in_hand} in the messenger's hands {'is' if in_hand == 1 else 'are'} sent all the same."
    return {"message": message, "messageTextsExample": texts}
