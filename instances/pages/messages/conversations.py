"""The content of the messages page: the chats of an instance, and one chat's messages as bubbles.

Read-only. Chats are paged by the last one of the previous page, messages by their number, so every page costs the
same. Polls send a cursor, so no change is lost between two polls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Case, DateTimeField, IntegerField, OuterRef, Q, Subquery, Value, When
from django.db.models.lookups import LessThanOrEqual
from django.utils import timezone

from instances import chat_ids
from instances.channels import CHANNELS
from instances.channels.reply_windows import HasReplyWindow
from instances.models import Ack, Chat, Instance, Message, MessageType, OutgoingMessage
from instances.models.last_messages import period

CHATS_SHOWN = 40
BUBBLES_SHOWN = 60
NEWS_AT_ONCE = 200  # messages per poll; the next poll continues after them
TICKS_UPDATED = 100  # the ticks of this many newest messages are updated by polls
QUEUE_SHOWN = 20
FAILED_FOR = timedelta(days=1)  # failed messages are shown in their chat for so long

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
        """Changes when anything shown in the rows changes."""
        fields = ((row.chat.pk, row.last_number, row.chat.unread, row.name) for row in self.rows)
        return digest(fields)


class Bubble(NamedTuple):
    """One message; `link` is the URL of its file, `tick` the last ack of a sent message in a word."""

    message: Message
    text: str
    label: str
    link: str
    tick: str
    author: str
    begins_day: bool


def digest(fields: Iterable[object]) -> str:
    return hashlib.blake2b(repr(list(fields)).encode(), digest_size=9).hexdigest()


def chat_name(chat: Chat) -> str:
    """Returns the chat's name; without one its number, or what it is."""
    return chat.name or chat_ids.label(chat.chat_id)


class WindowShown(NamedTuple):
    """Whether the messenger takes free messages to a contact: until `ends_at`, or not any more."""

    sentence: str
    ends_at: datetime | None


def reply_window(instance: Instance, chat: Chat) -> WindowShown | None:
    """Returns the window of a chat; None for groups, and for messengers without windows. At most one query."""
    channel = CHANNELS.get(instance.channel)
    if not isinstance(channel, HasReplyWindow) or chat.is_group:
        return None
    window = channel.reply_window
    received = Message.objects.filter(chat=chat, from_me=False).order_by("-number")
    last = received.values_list("time", flat=True).first()
    if last is None or last + window.length <= timezone.now():
        return WindowShown(window.closed, None)
    return WindowShown(window.open, last + window.length)


def list_chats(instance: Instance, *, q: str = "", before: tuple[datetime, int] | None = None) -> ChatPage:
    """Returns a page of the chats, the most recent first; of a search, those with all its words in the name first.

    `before` is (last_time, key) of the last chat of the page before. Two queries, three for a later page of a search.
    """
    found, in_name = Chat.objects.filter(instance=instance), Q()
    for word in q.split():
        found = found.filter(Q(name__icontains=word) | Q(chat_id__contains=word.lstrip("+")))
        in_name &= Q(name__icontains=word)
    rank = Case(When(in_name, then=0), default=1, output_field=IntegerField()) if in_name else Value(0)
    found = found.with_last_message().annotate(rank=rank)
    if before is not None:
        at, key = before
        same = Q(exact_last_time__lt=at) | Q(exact_last_time=at, pk__lt=key)
        if in_name:
            last = found.filter(pk=key).values_list("rank", flat=True).first() or 0
            same = Q(rank=last) & same | Q(rank__gt=last)
        else:
            up_to = period(Value(at, output_field=DateTimeField()))
            found = found.filter(LessThanOrEqual(period("stored_last_time"), up_to))
        found = found.filter(same)
    last = Message.objects.filter(chat=OuterRef("pk")).order_by("-number").values("number")[:1]
    ordered = found.in_order(*(["rank"] if in_name else []))
    rows = list(ordered.annotate(last_number=Subquery(last))[: CHATS_SHOWN + 1])
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
            ChatRow(chat, chat_name(chat), preview_of(message) if message else "", chat.last_number or 0)
        )
    return ChatPage(listed, len(rows) > CHATS_SHOWN)


def preview_of(message: Message) -> str:
    """Returns a message in a few words, for the list of chats."""
    label = label_of(message)
    words = "Deleted" if message.deleted_at else f"{label} {text_of(message)}".strip()
    return f"You: {words}"[:120] if message.from_me else words[:120]


def label_of(message: Message | OutgoingMessage) -> str:
    """Returns the type of a message as a capitalized word; empty for text messages."""
    if message.type == MessageType.CHAT:
        return ""
    return MessageType(message.type).label


def text_of(message: Message | OutgoingMessage) -> str:
    """Returns the text to show: of the message, a file's caption, a location's text or the name on a contact card."""
    if message.type == MessageType.VCARD:
        names = [line[3:] for line in message.body.splitlines() if line.upper().startswith("FN:")]
        return names[0].strip() if names else "without a name"
    if message.type == MessageType.CALL_LOG:
        return ""
    if message.type in FILES:
        return message.caption or ("" if is_link(message.body) else message.body)
    return "\n".join(part for part in (message.body, message.caption) if part)


def line_of(message: Message | OutgoingMessage) -> str:
    """Returns the message as one text, never empty: "Image a caption", "Message deleted", "Without a text"."""
    if isinstance(message, Message) and message.deleted_at:
        return "Message deleted"
    return f"{label_of(message)} {text_of(message)}".strip() or "Without a text"


def is_link(text: str) -> bool:
    return text.startswith(("http://", "https://")) and not any(letter.isspace() for letter in text)


def list_bubbles(
    chat: Chat, *, before: int | None = None, after: int | None = None, most: int = 0
) -> tuple[list[Bubble], bool]:
    """Returns messages in order, and whether there are more: the newest, those before a number, or those after one."""
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
                message.sender_name or chat_ids.bare_id(message.author) if chat.is_group else "",
                message.time.date() != day,
            )
        )
        day = message.time.date()
    return bubbles


class Ticks(NamedTuple):
    """The state of the newest messages up to a number: the ticks of sent messages, and the deleted messages."""

    sent: list[tuple[int, str]]
    deleted: list[int]
    cursor: str


def read_ticks(chat: Chat, number: int, unsent: Sequence[OutgoingMessage]) -> Ticks:
    """Returns the ticks. `cursor` changes when a tick changes, a message is deleted or `unsent` changes. One query."""
    newest = Message.objects.filter(chat=chat, number__lte=number).order_by("-number")
    rows = list(newest.values_list("number", "from_me", "ack", "deleted_at")[:TICKS_UPDATED])
    sent = [(number, TICKS[ack]) for number, from_me, ack, deleted in rows if from_me and not deleted]
    deleted = [number for number, _, _, at in rows if at]
    return Ticks(
        sent, deleted, digest([sent, deleted, [(message.pk, message.failed_at) for message in unsent]])
    )


def list_unsent(instance: Instance, chat_id: str) -> list[OutgoingMessage]:
    """Returns the messages to this chat that are still in the queue, or have failed lately, in order. Two queries."""
    of_chat = OutgoingMessage.objects.filter(instance=instance, chat_id=chat_id, deletes="")
    failed = of_chat.failed().filter(failed_at__gte=timezone.now() - FAILED_FOR)
    found = [
        *of_chat.waiting().order_by("queue_number")[:QUEUE_SHOWN],
        *failed.order_by("-failed_at")[:QUEUE_SHOWN],
    ]
    return sorted(found, key=lambda message: message.queue_number)
