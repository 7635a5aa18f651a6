"""Forwarding and deleting (contract.md, section 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from instances.actions.message_lookup import UnknownMessage
from instances.actions.sending import forwarding as forwarding_actions
from instances.actions.sending.accept import QueueFull, TooLong
from instances.actions.sending.forwarding import CannotDelete, CannotForward, forward_messages
from instances.channels.base import Can
from instances.contract.arguments import Destination
from instances.contract.errors import Refused
from instances.contract.registry import method
from instances.contract.sending.messages import check_channel, reply
from instances.contract.sending.send_arguments import ids, needed
from instances.models import Instance


@method(
    "forwardMessage",
    "POST",
    refusal="sent",
    arguments=(Destination(), ids("messageId", "the id of a message to be forwarded, or an array of ids")),
)
def forward_message(instance: Instance, *, chat_id: str, message_id: Sequence[str]) -> dict[str, Any]:
    """Sends messages once more, all of them or none; of several the reply is that of the last, with all `messages`."""
    try:
        queued = forward_messages(instance, chat_id=chat_id, message_ids=message_id)
    except (QueueFull, UnknownMessage, CannotForward, TooLong) as error:
        raise Refused(str(error)) from None
    answer = reply(instance, queued[-1])
    if len(queued) > 1:
        answer["messages"] = [{"id": each.message_id, "queueNumber": each.queue_number} for each in queued]
    return answer


@dataclass(frozen=True)
class PerhapsDestination(Destination):
    """`chatId` or `phone`, where the call makes sense without either."""

    required: bool = False
    takes: str = "the chat of the message, as a chat id or a phone number; it may be left out"

    def value(self, given: Mapping[str, Any]) -> Any:
        return super().value(given) if any(given.get(name) not in (None, "") for name in self.names) else None


@method(
    "deleteMessage",
    "POST",
    refusal="sent",
    arguments=(PerhapsDestination(), needed("messageId", "the id of an own message", most=200)),
)
def delete_message(instance: Instance, *, chat_id: str | None, message_id: str) -> dict[str, Any]:
    """Deletes an own message for everyone, in its turn in the queue; `id` of the reply is that message's."""
    check_channel(instance, Can.DELETE)
    try:
        queued = forwarding_actions.delete_message(instance, message_id=message_id.strip(), chat_id=chat_id)
    except (QueueFull, UnknownMessage, CannotDelete) as error:
        raise Refused(str(error)) from None
    return reply(instance, queued)
