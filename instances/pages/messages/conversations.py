"""The content of the messages page: the chats of an instance, and one chat's messages as bubbles.

Read-only. Chats are paged by the last one of the previous page, messages by their number: a page costs the same
wherever it begins. What is live is asked for by a cursor, so that nothing is lost between two polls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import OuterRef, Q, Subquery

from instances import chat_ids
from instances.models import Ack, Chat, Instance, Message, MessageType, OutgoingMessage

CHATS_SHOWN = 40
BUBBLES_SHOWN = 60
NEWS_AT_ONCE = 200  # messages that one poll brings; the next one continues after them
WATCHED = 100  # of the newest messages that are shown: their ticks stay true
QUEUE_SHOWN = 20

TICKS: dict[int | None, str] = {
    None: "sent",
    Ack.SENT: "sent",
    Ack.DELIVERED: "delivered",
    Ack.VIEWED: "viewed",
}
FILES = {
    MessageType.IMAGE: "image",
    MessageType.VIDEO: "video",
    MessageType.DOCUMENT: "document",
    MessageType.AUDIO: "audio",
    MessageType.PTT: "voice message",
    MessageType.STICKER: "sticker",
}


class ChatRow(NamedTuple):
    """A chat on the list; `preview` is its last message in a few words."""

    chat: Chat
    name: str
    preview: str
    last_number: int


class ChatPage(NamedTuple):
    rows: list[ChatRow]
    more: bool

    @property
    def cursor(self) -> str:
        """Changes when anything does that the rows show."""
        facts = ((row.chat.pk, row.last_number, row.chat.unread, row.name) for row in self.rows)
        return digest(facts)


class Bubble(NamedTuple):
    """One message; `link` is the address of the file that it carries, `tick` a word for those that went out."""

    message: Message
    text: str
    label: str
    link: str
    tick: str
    author: str
    begins_day: bool


def digest(facts: Iterable[object]) -> str:
    return hashlib.blake2b(repr(list(facts)).encode(), digest_size=9).hexdigest()


def name_of(chat: Chat) -> str:
    return chat.name or chat_ids.digits(chat.chat_id)


def chats_of(instance: Instance, *, q: str = "", before: tuple[datetime, int] | None = None) -> ChatPage:
    """The chats, the last one that was written in first; `before` is (last_time, key). Two queries."""
    found = Chat.objects.filter(instance=instance)
    for word in q.split():
        found = found.filter(Q(name__icontains=word) | Q(chat_id__contains=word.lstrip("+")))
    if before is not None:
        at, key = before
        found = found.filter(Q(last_time__lt=at) | Q(last_time=at, pk__lt=key))
    last = Message.objects.filter(chat=OuterRef("pk")).order_by("-number").values("number")[:1]
    rows = list(found.order_by("-last_time", "-pk").annotate(last_number=Subquery(last))[: CHATS_SHOWN + 1])
    shown = rows[:CHATS_SHOWN]
    numbers = [row.last_number for row in shown if row.last_number is not None]
    newest = {
        message.number: message
        for message in Message.objects.filter(instance=instance, number__in=numbers).only(
            "number", "type", "body", "caption", "from_me", "deleted_at"
        )
    }
    listed = []
    for chat in shown:
        message = newest.get(chat.last_number)
        listed.append(
            ChatRow(chat, name_of(chat), preview_of(message) if message else "", chat.last_number or 0)
        )
    return ChatPage(listed, len(rows) > CHATS_SHOWN)


def preview_of(message: Message) -> str:
    """A message in a few words, for the list of chats."""
    label = label_of(message)
    words = "Deleted" if message.deleted_at else f"{label} {text_of(message)}".strip()
    return f"You: {words}"[:120] if message.from_me else words[:120]


def label_of(message: Message | OutgoingMessage) -> str:
    """What kind of message it is, where its text does not say so; a word with a capital letter."""
    if message.type == MessageType.CHAT:
        return ""
    return MessageType(message.type).label


def text_of(message: Message | OutgoingMessage) -> str:
    """The text to show: the message's text, a file's caption, the text of a location or a card."""
    if message.type == MessageType.VCARD:
        names = [line[3:] for line in message.body.splitlines() if line.upper().startswith("FN:")]
        return names[0].strip() if names else "without a name"
    if message.type == MessageType.CALL_LOG:
        return ""
    if message.type in FILES:
        return message.caption or ("" if is_link(message.body) else message.body)
    return "\n".join(part for part in (message.body, message.caption) if part)


def is_link(text: str) -> bool:
    return text.startswith(("http://", "https://")) and not any(letter.isspace() for letter in text)


def bubbles_of(
    chat: Chat, *, before: int | None = None, after: int | None = None, most: int = 0
) -> tuple[list[Bubble], bool]:
    """Messages in their order, and whether there are more: the newest, those before a number, or those after one."""
    most = most or BUBBLES_SHOWN
    found = Message.objects.filter(chat=chat).defer("metadata")
    if after is not None:
        rows = list(found.filter(number__gt=after).order_by("number")[: most + 1])
        return build_bubbles(rows[:most], chat, known_day=True), len(rows) > most
    if before is not None:
        found = found.filter(number__lt=before)
    rows = list(found.order_by("-number")[: most + 1])
    return build_bubbles(rows[:most][::-1], chat), len(rows) > most


def build_bubbles(messages: Sequence[Message], chat: Chat, *, known_day: bool = False) -> list[Bubble]:
    bubbles = []
    day = messages[0].time.date() if known_day and messages else None
    for message in messages:
        bubbles.append(
            Bubble(
                message,
                text_of(message),
                label_of(message),
                message.body if message.type in FILES and is_link(message.body) else "",
                TICKS[message.ack] if message.from_me else "",
                message.sender_name or chat_ids.digits(message.author) if chat.is_group else "",
                message.time.date() != day,
            )
        )
        day = message.time.date()
    return bubbles


class Ticks(NamedTuple):
    """The state of the newest messages up to a number: those that went out, and those that were deleted."""

    sent: list[tuple[int, str]]
    deleted: list[int]
    cursor: str


def ticks_up_to(chat: Chat, number: int, waiting: Sequence[OutgoingMessage]) -> Ticks:
    """One query. `cursor` changes when a tick, a deletion or the queue does."""
    newest = Message.objects.filter(chat=chat, number__lte=number).order_by("-number")
    rows = list(newest.values_list("number", "from_me", "ack", "deleted_at")[:WATCHED])
    sent = [(number, TICKS[ack]) for number, from_me, ack, deleted in rows if from_me and not deleted]
    deleted = [number for number, _, _, at in rows if at]
    return Ticks(sent, deleted, digest([sent, deleted, [place.pk for place in waiting]]))


def waiting_in(instance: Instance, chat_id: str) -> list[OutgoingMessage]:
    """What was sent into this chat and the messenger has not taken yet. One query."""
    found = OutgoingMessage.objects.filter(instance=instance, chat_id=chat_id, deletes="")
    return list(found.order_by("queue_number")[:QUEUE_SHOWN])
