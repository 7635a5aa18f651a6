"""Records that the other side has read a chat up to some message, which some messengers report instead of acks."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Max, QuerySet

from instances.actions import events
from instances.actions.message_lookup import UnknownMessage
from instances.actions.messages import record_acks, remembered_chat
from instances.models import Ack, Instance, Message


def record_chat_viewed(instance: Instance, *, chat_id: str, messenger_id: str) -> int:
    """Record the ack "viewed" of the account's messages up to the one that the messenger calls so, of either side.

    Returns how many messages it is new for. Call it in a transaction.

    Raises:
        UnknownMessage: no message of the chat has this id.
    """
    in_chat = messages_of(instance, chat_id)
    known = in_chat.filter(messenger_id=messenger_id).exclude(messenger_id="")
    last = known.aggregate(number=Max("number"))["number"]
    if last is None:
        raise UnknownMessage("There is no message that the messenger knows by this id.")
    return record_viewed(instance, in_chat.filter(number__lte=last))


def record_chat_viewed_until(instance: Instance, *, chat_id: str, until: datetime) -> int:
    """As record_chat_viewed, of the messages up to a time."""
    return record_viewed(instance, messages_of(instance, chat_id).filter(time__lte=until))


def messages_of(instance: Instance, chat_id: str) -> QuerySet[Message]:
    """Returns the messages of a chat; locks the instance's row."""
    events.lock(instance)
    where = remembered_chat(instance, chat_id)
    return Message.objects.filter(instance=instance, chat__chat_id=where)


def record_viewed(instance: Instance, messages: QuerySet[Message]) -> int:
    """Record the ack of those of these messages, of one chat, that were sent after the last viewed one.

    So a chat's old messages are not read again with every receipt: what is reported so is viewed without gaps.
    """
    own = messages.filter(from_me=True)
    last_viewed = own.filter(ack=Ack.VIEWED).aggregate(number=Max("number"))["number"] or 0
    unread = own.filter(number__gt=last_viewed, ack__lt=Ack.VIEWED).select_related("chat").order_by("number")
    acks = [(message, Ack.VIEWED) for message in unread]
    record_acks(instance, acks)
    return len(acks)
