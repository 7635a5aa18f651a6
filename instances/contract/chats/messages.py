"""Reading messages (contract.md, section 2)."""

from typing import Any

from django.db.models import BigIntegerField, F, QuerySet
from django.db.models.functions import Cast, Extract, Floor

from instances.contract.arguments import Destination, flag, number, text, unix_time
from instances.contract.dates import moment
from instances.contract.registry import method
from instances.models import Chat, Instance, Message
from instances.payloads import message_dict

PAGE = 100
CAP = 10_000  # what `limit` 0, "all", gives at most; the client goes on by lastMessageNumber
TEXT_CAP = (
    8_000_000  # characters of text in one answer; a message may have 65 536, and as many in what it quotes
)
MOST_A_PAGE = 1_000  # of messagesHistory
MOST_MESSAGES = 2_147_483_647  # that an instance may have
MOST_GIVEN = 999_999_999_999_999  # as lastMessageNumber: a bot gave a phone number there, beside `last`
CHAT_ID_LENGTH = 100  # characters
CHUNK = 500  # messages that are fetched at once

FIELDS = (
    "number", "message_id", "author", "sender_name", "type", "body", "caption", "from_me", "by_api", "forwarded",
    "quoted", "metadata", "ack", "seconds", "chat__chat_id", "chat__name",
)  # fmt: skip
# in the database: psycopg and Django need 7 µs for a time, a tenth of a page of 100
SECONDS = Cast(Floor(Extract("time", "epoch")), BigIntegerField())


@method(
    "messages",
    "GET",
    arguments=(
        number("lastMessageNumber", "the number after which to begin", default=0, most=MOST_GIVEN),
        flag("last", "the newest messages instead; beats lastMessageNumber"),
        text("chatId", "one chat's messages alone", most=CHAT_ID_LENGTH),
        number(
            "limit",
            f"how many at most; 0: all, but at most {CAP}, and {TEXT_CAP} characters of text",
            default=PAGE,
        ),
        unix_time("min_time"),
        unix_time("max_time"),
    ),
)
def messages(
    instance: Instance,
    *,
    last_message_number: int,
    last: bool,
    chat_id: str | None,
    limit: int,
    min_time: int | None,
    max_time: int | None,
) -> dict[str, Any]:
    """Messages in the order of their numbers; `lastMessageNumber` of the answer is where the next call begins.

    One query: numbers are the key of the index, so a page costs the same wherever it begins.
    """
    found = Message.objects.filter(instance=instance)
    if chat_id:
        found = of_chat(instance, found, chat_id)
    if min_time is not None:
        found = found.filter(time__gte=moment(min_time))
    if max_time is not None:
        found = found.filter(time__lt=moment(max_time + 1))  # the whole of that second
    if not last:
        found = found.filter(number__gt=last_message_number)
    rows = fetch(found, min(limit, CAP) or CAP, newest=last)
    if last:
        rows.reverse()
    return {
        "messages": shown(rows),
        "lastMessageNumber": rows[-1].number if rows else last_message_number,
    }


def as_rows(found: QuerySet[Message]) -> QuerySet[Any, Any]:
    return found.annotate(seconds=SECONDS).values_list(*FIELDS, named=True)


def fetch(found: QuerySet[Message], most: int, *, newest: bool) -> list[Any]:
    """The first, or the newest, `most` of these, by FIELDS, in the order in which they were looked for.

    Fewer where their texts are longer than TEXT_CAP, but one in any case: a client goes on behind the last.
    """
    ordered = as_rows(found.order_by("-number" if newest else "number"))
    rows: list[Any] = []
    size = 0
    while len(rows) < most:
        rest = ordered
        if rows:
            at = rows[-1].number
            rest = ordered.filter(number__lt=at) if newest else ordered.filter(number__gt=at)
        wanted = min(CHUNK, most - len(rows))
        chunk = list(rest[:wanted])
        for row in chunk:
            size += len(row.body) + len(row.caption or "") + len((row.quoted or {}).get("body", ""))
            if rows and size > TEXT_CAP:
                return rows
            rows.append(row)
        if len(chunk) < wanted:
            break
    return rows


def shown(rows: list[Any]) -> list[dict[str, Any]]:
    return [
        message_dict(row, chat_id=row.chat__chat_id, chat_name=row.chat__name, seconds=row.seconds)
        for row in rows
    ]


@method(
    "messagesHistory",
    "GET",
    arguments=(
        number("page", "the page, from 0", default=0),
        number("count", f"how many messages a page has, at most {MOST_A_PAGE}", default=PAGE),
        text("chatId", "one chat's messages alone", most=CHAT_ID_LENGTH),
    ),
)
def messages_history(instance: Instance, *, page: int, count: int, chat_id: str | None) -> dict[str, Any]:
    """A page of the messages, the newest on page 0; within a page from the newest to the oldest.

    Pages of a chat are counted from its newest message, those of the instance by their numbers, which are gapless:
    so the last page of a million costs what the first does. What clearChat has cleared is left out (*ours*); where a
    chat was cleared, the instance's pages are counted from the newest message too.
    """
    size = min(count, MOST_A_PAGE) or PAGE
    found = Message.objects.filter(instance=instance, number__gt=F("chat__cleared_number"))
    first = min(page * size, MOST_MESSAGES)
    if chat_id:
        found = of_chat(instance, found, chat_id)
    elif not Chat.objects.filter(instance=instance, cleared_number__gt=0).exists():
        found, first = found.filter(number__lte=instance.last_message_number - first), 0
    rows = list(as_rows(found.order_by("-number"))[first : first + size])
    return {
        "messages": shown(rows),
        "page": page,
    }


def of_chat(instance: Instance, found: QuerySet[Message], chat_id: str) -> QuerySet[Message]:
    """Those of one chat: first the chat, then its index of numbers; a join would read the others' too."""
    where = Destination().value({"chatid": chat_id})
    return found.filter(chat=Chat.objects.filter(instance=instance, chat_id=where).values("pk")[:1])
