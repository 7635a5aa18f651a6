"""Returns messages (contract.md §2)."""

from typing import Any

from django.db.models import BigIntegerField, F, QuerySet
from django.db.models.functions import Cast, Extract, Floor

from instances import value_parsing
from instances.contract.arguments import (
    MAX_NUMBER,
    Argument,
    chat_filter,
    is_empty,
    number,
    single_value,
    unix_time,
    without_decimals,
)
from instances.contract.dates import from_unix_time
from instances.contract.registry import method
from instances.models import Chat, Instance, Message
from instances.payloads import message_dict

PAGE_SIZE = 100
MAX_MESSAGES = 10_000  # returned for `limit` 0, "all"; the client continues with lastMessageNumber
# Characters of text in one response. A message may have 65 536, a vCard a million, and as many in the message that it
# quotes.
MAX_TEXT = 8_000_000
# The same for messagesHistory, whose pages are counted: what a page leaves out, no other page has.
MAX_HISTORY_TEXT = 64_000_000
MAX_PAGE_SIZE = 1_000  # of messagesHistory
MAX_MESSAGE_NUMBER = 2_147_483_647
# Accepted as lastMessageNumber: a bot sends a phone number there, together with `last`.
MAX_LAST_MESSAGE_NUMBER = 999_999_999_999_999
MAX_LAST = 100  # messages of `last=n`
CHUNK = (
    500  # messages per query, and of the first one CHUNK_WITH_CARDS: 100 vCards with photos may have 100 MB
)
CHUNK_WITH_CARDS = 100
SMALL = 4_000  # characters of an average message

FIELDS = (
    "number", "message_id", "author", "sender_name", "type", "body", "caption", "from_me", "by_api", "forwarded",
    "quoted", "metadata", "ack", "seconds", "chat__chat_id", "chat__name",
)  # fmt: skip
# Computed in the database: psycopg and Django need 7 µs per time, a tenth of a page of 100.
SECONDS = Cast(Floor(Extract("time", "epoch")), BigIntegerField())


def parse_last(value: Any) -> int | None:
    """How many of the newest messages `last` asks for: None for false, 0 for as many as `limit` says.

    A number from 2 on is a count, at most MAX_LAST. `0`, `false` and nothing are false; any other value is true.
    """
    given = single_value(value)
    if is_empty(given) or str(given).strip().lower() in value_parsing.FALSE:
        return None
    try:
        count = value_parsing.parse_whole_number(without_decimals(given), most=MAX_NUMBER)
    except ValueError:
        return 0
    return min(count, MAX_LAST) if count > 1 else 0


@method(
    "messages",
    "GET",
    arguments=(
        number(
            "lastMessageNumber",
            "return messages with higher numbers",
            default=0,
            maximum=MAX_LAST_MESSAGE_NUMBER,
        ),
        Argument(
            "last",
            parse_last,
            "`true`: return the newest messages; a number from 2 to 100: that many of them."
            " Overrides lastMessageNumber",
            {"oneOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0}]},
            default=None,
        ),
        chat_filter("chatId", "only messages of this chat"),
        number(
            "limit",
            f"how many messages to return; 0: all, up to {MAX_MESSAGES} and {MAX_TEXT} characters of text",
            default=PAGE_SIZE,
        ),
        unix_time("min_time"),
        unix_time("max_time"),
    ),
)
def messages(
    instance: Instance,
    *,
    last_message_number: int,
    last: int | None,
    chat_id: str | None,
    limit: int,
    min_time: int | None,
    max_time: int | None,
) -> dict[str, Any]:
    """Returns messages in the order of their numbers. Send `lastMessageNumber` of the response with the next call.

    One query. The index is on the numbers, so a page costs the same wherever it starts.
    """
    found = Message.objects.filter(instance=instance)
    if chat_id is not None:
        found = of_chat(instance, found, chat_id)
    if min_time is not None:
        found = found.filter(time__gte=from_unix_time(min_time))
    if max_time is not None:
        found = found.filter(time__lt=from_unix_time(max_time + 1))  # includes the whole second
    newest = last is not None
    if not newest:
        found = found.filter(number__gt=last_message_number)
    limits = [each for each in (limit, last, MAX_MESSAGES) if each]
    rows = fetch(found, min(limits), newest=newest, max_text=MAX_TEXT)  # the client continues after the last
    if newest:
        rows.reverse()
    return {
        "messages": message_dicts(rows),
        "lastMessageNumber": rows[-1].number if rows else last_message_number,
    }


def as_rows(found: QuerySet[Message]) -> QuerySet[Any, Any]:
    return found.annotate(seconds=SECONDS).values_list(*FIELDS, named=True)


def fetch(found: QuerySet[Message], limit: int, *, newest: bool, skip: int = 0, max_text: int) -> list[Any]:
    """Rows of FIELDS: the first `limit` messages by number, or the newest ones in descending order, after `skip`.

    Fewer if their texts are longer than `max_text` characters in total, but at least one.
    """
    ordered = as_rows(found.order_by("-number" if newest else "number"))
    rows: list[Any] = []
    size = 0
    most = CHUNK_WITH_CARDS
    while len(rows) < limit:
        rest = ordered
        if rows:
            last = rows[-1].number
            rest = ordered.filter(number__lt=last) if newest else ordered.filter(number__gt=last)
            skip = 0
        size_of_chunk = min(most, limit - len(rows))
        chunk = list(rest[skip : skip + size_of_chunk])
        for row in chunk:
            size += text_size(row)
            if rows and size > max_text:
                return rows
            rows.append(row)
        if len(chunk) < size_of_chunk:
            break
        most = CHUNK if size <= SMALL * len(rows) else CHUNK_WITH_CARDS
    return rows


def text_size(row: Any) -> int:
    """The characters of a message's texts."""
    return len(row.body) + len(row.caption or "") + len((row.quoted or {}).get("body", ""))


def message_dicts(rows: list[Any]) -> list[dict[str, Any]]:
    """The rows as hooks show them. Incoming ones also have `"ack":null`, which their hooks do not have."""
    dicts = [
        message_dict(row, chat_id=row.chat__chat_id, chat_name=row.chat__name, seconds=row.seconds)
        for row in rows
    ]
    for each in dicts:
        each.setdefault("ack", None)
    return dicts


@method(
    "messagesHistory",
    "GET",
    arguments=(
        number("page", "the page, from 0", default=0),
        number("count", f"how many messages are on a page, at most {MAX_PAGE_SIZE}", default=PAGE_SIZE),
        chat_filter("chatId", "only messages of this chat"),
    ),
)
def messages_history(instance: Instance, *, page: int, count: int, chat_id: str | None) -> dict[str, Any]:
    """Returns a page of messages, newest first. Page 0 has the newest.

    Pages of a chat are counted from its newest message, pages of the instance by message number: numbers have no gaps,
    so the last page of a million messages costs the same as the first. Messages cleared by clearChat are left out
    (*ours*); if any chat was cleared, the instance's pages are counted from the newest message too.
    """
    size = min(count, MAX_PAGE_SIZE) or PAGE_SIZE
    found = Message.objects.filter(instance=instance, number__gt=F("chat__cleared_number"))
    first = min(page * size, MAX_MESSAGE_NUMBER)
    if chat_id is not None:
        found = of_chat(instance, found, chat_id)
    elif not Chat.objects.filter(instance=instance, cleared_number__gt=0).exists():
        found, first = found.filter(number__lte=instance.last_message_number - first), 0
    return {
        "messages": message_dicts(fetch(found, size, newest=True, skip=first, max_text=MAX_HISTORY_TEXT)),
        "page": page,
    }


def of_chat(instance: Instance, found: QuerySet[Message], chat_id: str) -> QuerySet[Message]:
    """The messages of one chat. Finds the chat first to use its index of numbers; a join would read other chats too."""
    return found.filter(chat=Chat.objects.filter(instance=instance, chat_id=chat_id).values("pk")[:1])
