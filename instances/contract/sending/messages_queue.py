"""Shows and clears the queue of messages (contract.md §2)."""

from collections.abc import Iterable, Iterator
from typing import Any

from instances.actions.sending.message_queue import clear_messages
from instances.contract.registry import method
from instances.models import Instance, OutgoingMessage

MAX_SHOWN = 100
MAX_TEXT = 8_000_000  # characters of their bodies; the first message is always shown


@method("showMessagesQueue", "GET")
def show_messages_queue(instance: Instance) -> dict[str, Any]:
    """Returns the number of waiting messages and the first 100. `last_try`: unix seconds, 0 before the first try.

    Fewer are shown if they have more than 8 000 000 characters: vCards with photos.
    """
    waiting = OutgoingMessage.objects.waiting().filter(instance=instance).order_by("queue_number")[:MAX_SHOWN]
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
            for outgoing in within_limit(waiting)
        ],
    }


def within_limit(waiting: Iterable[OutgoingMessage]) -> Iterator[OutgoingMessage]:
    """These messages, until their bodies have more than MAX_TEXT characters."""
    size = 0
    for outgoing in waiting:
        if size and size + len(outgoing.body) > MAX_TEXT:
            return
        size += len(outgoing.body)
        yield outgoing


@method("clearMessagesQueue", "POST")
def clear_messages_queue(instance: Instance) -> dict[str, Any]:
    """Clears the queue. Messages already handed to the messenger are still sent."""
    removed, handed_over, texts = clear_messages(instance)
    message = f"{removed} {'message was' if removed == 1 else 'messages were'} removed from the queue."
    if handed_over:
        verb = "was" if handed_over == 1 else "were"
        message += f" {handed_over} {verb} already handed to the messenger and will be sent."
    return {"message": message, "messageTextsExample": texts}
