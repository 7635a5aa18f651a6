"""Which message of a chat a channel names when it marks the chat as read."""

from __future__ import annotations

from instances.channels.own_ids import own_id
from instances.models import Instance, Message


def last_received_id(channel: object, instance: Instance, chat_id: str) -> str:
    """Returns the messenger's id of the last message that others wrote in this chat. One query.

    Empty if there is none, or if it is of another messenger, from before the instance was moved to this channel.
    """
    received = Message.objects.filter(instance=instance, chat__chat_id=chat_id, from_me=False)
    known = received.exclude(messenger_id="").order_by("-number").values_list("messenger_id", flat=True)
    return own_id(channel, known.first() or "")
