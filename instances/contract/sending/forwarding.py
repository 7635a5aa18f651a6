"""Forwards and deletes messages (contract.md §2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from instances.actions.message_lookup import UnknownMessage
from instances.actions.sending import forwarding as forwarding_actions
from instances.actions.sending.accept import QueueFull, TooLong
from instances.actions.sending.forwarding import CannotDelete, CannotForward, forward_messages
from instances.channels.base import Can
from instances.chat_ids import MESSAGE_ID_LENGTH
from instances.contract.arguments import Destination
from instances.contract.errors import CallFailed
from instances.contract.registry import method
from instances.contract.sending.messages import check_channel, reply
from instances.contract.sending.send_arguments import ids, required_text
from instances.models import Instance


@method(
    "forwardMessage",
    "POST",
    failure_key="sent",
    arguments=(Destination(), ids("messageId", "the id of the message to forward, or an array of ids")),
)
def forward_message(instance: Instance, *, chat_id: str, message_id: Sequence[str]) -> dict[str, Any]:
    """Forwards messages, all or none. The reply is that of the last one; `messages` has all if there are several."""
    try:
        queued = forward_messages(instance, chat_id=chat_id, message_ids=message_id)
    except (QueueFull, UnknownMessage, CannotForward, TooLong) as error:
        raise CallFailed(str(error)) from None
    result = reply(instance, queued[-1])
    if len(queued) > 1:
        result["messages"] = [{"id": each.message_id, "queueNumber": each.queue_number} for each in queued]
    return result


@dataclass(frozen=True)
class OptionalDestination(Destination):
    """`chatId` or `phone`. Both are optional."""

    required: bool = False
    description: str = "the chat of the message: a chat id or a phone number; optional"

    def read(self, given: Mapping[str, Any]) -> Any:
        return super().read(given) if any(given.get(name) not in (None, "") for name in self.names) else None


@method(
    "deleteMessage",
    "POST",
    failure_key="sent",
    arguments=(
        OptionalDestination(),
        required_text("messageId", "the id of a message that you sent", max_length=MESSAGE_ID_LENGTH),
    ),
)
def delete_message(instance: Instance, *, chat_id: str | None, message_id: str) -> dict[str, Any]:
    """Deletes a sent message for everyone, in its turn in the queue. The reply has the deleted message's `id`."""
    check_channel(instance, Can.DELETE)
    try:
        queued = forwarding_actions.delete_message(instance, message_id=message_id.strip(), chat_id=chat_id)
    except (QueueFull, UnknownMessage, CannotDelete) as error:
        raise CallFailed(str(error)) from None
    return reply(instance, queued)
