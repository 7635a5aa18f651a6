"""The messages of a conversation for both phones. Reads only."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from django.db.models import QuerySet, prefetch_related_objects

from hooks import body_masking
from instances.models import Ack, Chat, Message, MessageType
from instances.pages.messages import conversations
from instances.pages.messages.conversations import Bubble
from testing_tools.phone.conversation import Conversation

UPDATED_MESSAGES = 100  # a poll updates the ticks of this many newest messages


class PhoneBubble(NamedTuple):
    """A message on both phones. `has_arrived`: it is on the contact's phone. `is_read`: the account has read it.

    `is_by_contact`: the contact whose phone is shown has written it; in a group, others also write.
    """

    bubble: Bubble
    has_arrived: bool
    is_read: bool
    is_by_contact: bool

    @property
    def path(self) -> str:
        """Returns the path of its file on this site: pages load no pictures from other origins."""
        media = self.bubble.message.media
        return urlsplit(media.link).path if media and not body_masking.are_masked() else ""

    @property
    def is_picture(self) -> bool:
        return bool(self.path) and self.bubble.message.type in (MessageType.IMAGE, MessageType.STICKER)

    @property
    def is_sound(self) -> bool:
        return bool(self.path) and self.bubble.message.type in (MessageType.PTT, MessageType.AUDIO)

    @property
    def author_tick(self) -> str:
        """Returns the tick on its author's phone."""
        return self.bubble.tick if self.bubble.message.from_me else received_tick(is_read=self.is_read)


class MessageState(NamedTuple):
    """The parts of a shown message that can change; phone.js relies on this order."""

    number: int
    tick: str
    has_arrived: bool
    is_deleted: bool


def received_tick(*, is_read: bool) -> str:
    return "read" if is_read else "delivered"


def phone_bubbles(conversation: Conversation, *, after: int | None = None) -> list[PhoneBubble]:
    """Returns the newest messages, or after a message number up to NEWS_AT_ONCE messages. Two queries."""
    chat = conversation.chat
    if chat is None:
        return []
    most = conversations.NEWS_AT_ONCE if after is not None else 0
    bubbles, _ = conversations.list_bubbles(chat, after=after, most=most)
    prefetch_related_objects([bubble.message for bubble in bubbles], "media")
    return [
        PhoneBubble(
            bubble,
            has_arrived=has_arrived(chat, bubble.message),
            is_read=bubble.message.number <= chat.read_number,
            is_by_contact=bubble.message.author == conversation.contact.chat_id,
        )
        for bubble in bubbles
    ]


def has_arrived(chat: Chat, message: Message) -> bool:
    """Returns whether the message is on the contact's phone. In a group, every sent message is, as in REST."""
    return not message.from_me or (message.ack or Ack.SENT) >= (Ack.SENT if chat.is_group else Ack.DELIVERED)


def message_states(chat: Chat | None, up_to: int) -> list[MessageState]:
    """Returns the states of the newest UPDATED_MESSAGES messages up to this number, newest first. One query."""
    if chat is None:
        return []
    newest = Message.objects.filter(chat=chat, number__lte=up_to).order_by("-number")
    states = []
    for message in newest.only("number", "from_me", "ack", "deleted_at")[:UPDATED_MESSAGES]:
        if message.from_me:
            tick = conversations.TICKS[message.ack]
        else:
            tick = received_tick(is_read=message.number <= chat.read_number)
        states.append(
            MessageState(message.number, tick, has_arrived(chat, message), message.deleted_at is not None)
        )
    return states


def arrived_unread(conversation: Conversation) -> list[Message]:
    """Returns the account's messages on the contact's phone that are not viewed yet, oldest first."""
    if conversation.chat is None:
        return []
    unread: QuerySet[Message] = Message.objects.filter(
        chat=conversation.chat, from_me=True, ack__lt=Ack.VIEWED, deleted_at=None
    )
    newest = unread.order_by("-number")[:UPDATED_MESSAGES]
    return [message for message in reversed(newest) if has_arrived(conversation.chat, message)]
