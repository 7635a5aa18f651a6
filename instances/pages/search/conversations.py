"""The chats of the chosen instance, and its newest messages, by the words in them."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db.models import Q, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse

from hooks import body_masking
from instances.models import Chat, Instance, Message
from instances.models.last_messages import period
from instances.pages.messages.conversations import FILES, chat_name, line_of
from instances.pages.search.result_groups import SHOWN, Group, Row

# Names and texts have no index: this many of the newest are read, in the order of an index.
CHATS_SEARCHED = 2_000
MESSAGES_SEARCHED = 2_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHORTEST_TEXT = 2  # characters; a shorter one is in nearly every message
SHOWN_BEFORE = 30  # characters of a text before the first word that was found
SHOWN_LENGTH = 120  # characters of a text


def chats(instance: Instance, query: str) -> Group:
    """Returns the chats with every word in the name or the id, of the instance's CHATS_SEARCHED newest. One query."""
    of_instance = Chat.objects.filter(instance=instance).annotate(last_period=period("stored_last_time"))
    newest = of_instance.order_by("-last_period")
    oldest = newest.values("last_period")[CHATS_SEARCHED - 1 : CHATS_SEARCHED]
    found = newest.filter(last_period__gte=Coalesce(Subquery(oldest), EPOCH))
    for word in query.split():
        found = found.filter(Q(name__icontains=word) | Q(chat_id__contains=word.lstrip("+")))
    rows = [
        Row(
            chat_name(chat),
            f"Group of {instance}" if chat.is_group else f"Chat of {instance}",
            reverse("instances:chat", args=[instance.number, chat.chat_id]),
            "messages",
        )
        for chat in found[: SHOWN + 1]
    ]
    all_of_them = reverse("instances:messages", args=[instance.number], query={"q": query})
    return Group("Chats", rows[:SHOWN], all_of_them if len(rows) > SHOWN else "")


def texts(instance: Instance, query: str) -> Group:
    """Returns the messages with every word in the text, of the instance's MESSAGES_SEARCHED newest. One query.

    None while bodies are masked: a search would tell what is in them. Deleted messages and the links of files are
    not searched.
    """
    title = f"Newest messages of {instance}"
    words = query.split()
    if len(query) < SHORTEST_TEXT or body_masking.are_masked():
        return Group(title, [])
    of_instance = Message.objects.filter(instance=instance)
    oldest = of_instance.order_by("-number").values("number")[MESSAGES_SEARCHED - 1 : MESSAGES_SEARCHED]
    found = of_instance.filter(number__gte=Coalesce(Subquery(oldest), 0), deleted_at=None)
    for word in words:
        found = found.filter(Q(body__icontains=word) & ~Q(type__in=FILES) | Q(caption__icontains=word))
    rows = [
        Row(
            excerpt(line_of(message), words[0]),
            f"{'To' if message.from_me else 'From'} {chat_name(message.chat)}",
            message_url(message, instance),
            "message-circle",
        )
        for message in found.select_related("chat").order_by("-number")[:SHOWN]
    ]
    return Group(title, rows)


def message_url(message: Message, instance: Instance) -> str:
    """Returns the page of a received message, of one that the API sent, or the chat of any other."""
    if not message.from_me:
        return reverse("instances:turn", args=[instance.number, message.message_id])
    if message.queue_number is not None:
        return reverse("instances:message", args=[instance.number, message.message_id])
    return reverse("instances:chat", args=[instance.number, message.chat.chat_id])


def excerpt(text: str, word: str) -> str:
    """Returns a part of the text around the word, in one line."""
    line = " ".join(text.split())
    start = max(line.lower().find(word.lower()) - SHOWN_BEFORE, 0)
    cut = line[start : start + SHOWN_LENGTH]
    return f"{'…' if start else ''}{cut}{'…' if start + SHOWN_LENGTH < len(line) else ''}"
