"""Returns messages (contract.md §2)."""

import json
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from django.db import connection
from django.http import HttpResponse
from django.utils import timezone

from chatapi.database import prepared
from instances import chat_ids, value_parsing
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
from instances.models import Chat, Instance

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

# A row: the number, the characters of the texts, M of contract.md (payloads.message_dict) without its `metadata`, and
# the metadata: PostgreSQL's text of it has spaces, which the contract's JSON has not. Incoming messages have
# `"ack":null` here, and no `ack` in their hooks. PostgreSQL writes a page in half the time that Python needs. Bodies
# are read without their masks (hooks/body_masking.py): this is no page.
PAGE = """
SELECT
    message.number,
    length(body) + coalesce(length(caption), 0) + coalesce(length(quoted->>'body'), 0),
    (SELECT row_to_json(shown)::text FROM (SELECT
        message.message_id AS "id",
        body AS "body",
        from_me AS "fromMe",
        by_api::int AS "self",
        forwarded AS "isForwarded",
        author AS "author",
        floor(extract(epoch FROM time))::bigint AS "time",
        chat.chat_id AS "chatId",
        number AS "messageNumber",
        type AS "type",
        CASE WHEN sender_name <> '' THEN sender_name ELSE {bare_id_of_author} END AS "senderName",
        caption AS "caption",
        quoted->>'body' AS "quotedMsgBody",
        quoted->>'id' AS "quotedMsgId",
        quoted->>'type' AS "quotedMsgType",
        CASE WHEN chat.name <> '' THEN chat.name ELSE {bare_id_of_chat} END AS "chatName",
        NULL::text AS "metadata",
        CASE WHEN from_me THEN coalesce(nullif(ack, 0), 1) END AS "ack"
    ) AS shown),
    metadata::text
FROM instances_message message JOIN instances_chat chat ON chat.id = message.chat_id
WHERE {conditions}
ORDER BY message.number {direction} LIMIT {limit} OFFSET {skip}
"""
BARE_ID = f"regexp_replace({{}}, '{chat_ids.AROUND_BARE_ID}', '', 'g')"  # chat_ids.bare_id
OF_INSTANCE, AFTER, BEFORE = "message.instance_id = %s", "message.number > %s", "message.number < %s"
# The same for a prepared statement. With AFTER, PostgreSQL plans a page at each execution, a third of its CPU: it
# believes that the plan for a known number is cheaper than the one for all numbers, although it is the same plan.
AFTER_UNKNOWN = "message.number > (SELECT %s::bigint)"
# Conditions for which the index of numbers is best, whatever their values are. With others it depends on the values.
BY_NUMBER = (OF_INSTANCE, AFTER, BEFORE)
# Finds the chat first to use its index of numbers; a join would read other chats too.
IN_CHAT = "message.chat_id = (SELECT id FROM instances_chat WHERE instance_id = %s AND chat_id = %s LIMIT 1)"

Condition = tuple[str, Sequence[Any]]  # SQL and its parameters


Row = tuple[int, int, str, str | None]  # of PAGE; a NamedTuple for each takes a tenth of a page's CPU
NO_METADATA = '"metadata":null'


# The usual page, with the instance that a recent call has named and that may call: no row for any other instance, and
# one of NULLs for an empty page.
PAGE_AT_ONCE = """
SELECT page.* FROM instances_instance instance LEFT JOIN LATERAL ({page}) page ON true
WHERE instance.number = %s::bigint AND token_digest = %s AND paid_until > %s AND stopped_at IS NULL
ORDER BY page.number {direction}
"""


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


def messages_at_once(
    number: int,
    token_digest: str,
    *,
    last_message_number: int,
    last: int | None,
    chat_id: str | None,
    limit: int,
    min_time: int | None,
    max_time: int | None,
) -> HttpResponse | None:
    """Returns what messages() returns for a page of PAGE_SIZE, in one statement with its instance; None for others."""
    if chat_id is not None or min_time is not None or max_time is not None or limit != PAGE_SIZE or last:
        return None
    newest = last is not None
    found = prepared.fetch_all(
        *page_at_once_query(number, token_digest, newest=newest, last_message_number=last_message_number)
    )
    if not found:
        return None
    rows: list[Any] = [] if found[0][0] is None else found
    return page_response(within(rows, MAX_TEXT), newest=newest, last_message_number=last_message_number)


def page_at_once_query(
    number: int, token_digest: str, *, newest: bool, last_message_number: int
) -> tuple[str, list[Any]]:
    """Returns the SQL and the parameters."""
    conditions: list[Condition] = [("message.instance_id = instance.id", [])]
    if not newest:
        conditions.append((AFTER_UNKNOWN, [last_message_number]))
    page, parameters = page_query(conditions, PAGE_SIZE, newest=newest)
    sql = PAGE_AT_ONCE.format(page=page, direction="DESC" if newest else "ASC")
    return sql, [*parameters, number, token_digest, timezone.now()]


@method(
    "messages",
    "GET",
    at_once=messages_at_once,
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
) -> HttpResponse:
    """Returns messages in the order of their numbers. Send `lastMessageNumber` of the response with the next call.

    One query. The index is on the numbers, so a page costs the same wherever it starts.
    """
    conditions: list[Condition] = [(OF_INSTANCE, [instance.pk])]
    if chat_id is not None:
        conditions.append((IN_CHAT, [instance.pk, chat_id]))
    if min_time is not None:
        conditions.append(("time >= %s", [from_unix_time(min_time)]))
    if max_time is not None:
        conditions.append(("time < %s", [from_unix_time(max_time + 1)]))  # includes the whole second
    newest = last is not None
    if not newest:
        conditions.append((AFTER, [last_message_number]))
    limits = [each for each in (limit, last, MAX_MESSAGES) if each]
    rows = fetch(
        conditions, min(limits), newest=newest, max_text=MAX_TEXT
    )  # the client continues after the last
    return page_response(rows, newest=newest, last_message_number=last_message_number)


def page_response(rows: list[Row], *, newest: bool, last_message_number: int) -> HttpResponse:
    """The reply of `messages` with these rows; `newest`: they are in descending order."""
    if newest:
        rows.reverse()
    return response(rows, lastMessageNumber=rows[-1][0] if rows else last_message_number)


def fetch(
    conditions: Sequence[Condition], limit: int, *, newest: bool, skip: int = 0, max_text: int
) -> list[Row]:
    """The first `limit` messages by number, or the newest ones in descending order, after `skip`.

    Fewer if their texts are longer than `max_text` characters in total, but at least one.
    """
    rows: list[Row] = []
    size = 0
    most = CHUNK_WITH_CARDS
    while len(rows) < limit:
        rest = list(conditions)
        if rows:
            rest.append((BEFORE if newest else AFTER, [rows[-1][0]]))
            skip = 0
        size_of_chunk = min(most, limit - len(rows))
        chunk = fetch_chunk(rest, size_of_chunk, newest=newest, skip=skip)
        for row in chunk:
            size += row[1]
            if rows and size > max_text:
                return rows
            rows.append(row)
        if len(chunk) < size_of_chunk:
            break
        most = CHUNK if size <= SMALL * len(rows) else CHUNK_WITH_CARDS
    return rows


def within(rows: list[Row], max_text: int) -> list[Row]:
    """The first of these rows whose texts have at most `max_text` characters in total, but at least one."""
    if sum(size for _, size, _, _ in rows) <= max_text:
        return rows
    sizes = accumulate(size for _, size, _, _ in rows)
    return [
        row
        for place, (row, size) in enumerate(zip(rows, sizes, strict=True))
        if not place or size <= max_text
    ]


def fetch_chunk(conditions: Sequence[Condition], limit: int, *, newest: bool, skip: int) -> list[Row]:
    sql, parameters = page_query(conditions, limit, newest=newest, skip=skip)
    # Planning takes a third of what PostgreSQL needs for a page. Each text is prepared, so only for the usual page.
    is_prepared = not skip and limit == CHUNK_WITH_CARDS and all(one in BY_NUMBER for one, _ in conditions)
    with prepared.cursor() if is_prepared else connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def page_query(
    conditions: Sequence[Condition], limit: int, *, newest: bool, skip: int = 0
) -> tuple[str, list[Any]]:
    """Returns the SQL and the parameters."""
    sql = PAGE.format(
        conditions=" AND ".join(condition for condition, _ in conditions),
        direction="DESC" if newest else "ASC",
        limit=limit,
        skip=skip,
        bare_id_of_author=BARE_ID.format("author"),
        bare_id_of_chat=BARE_ID.format("chat.chat_id"),
    )
    return sql, [value for _, values in conditions for value in values]


def with_metadata(message: str, metadata: str) -> str:
    """PostgreSQL's JSON of a message with its metadata, after which there are no texts."""
    before, _, after = message.rpartition(NO_METADATA)
    return f'{before}"metadata":{compact_json(json.loads(metadata))}{after}'


def response(rows: Sequence[Row], **others: int) -> HttpResponse:
    """The reply: the messages, then the other keys."""
    shown = [
        message if metadata is None else with_metadata(message, metadata) for _, _, message, metadata in rows
    ]
    text = f'{{"messages":[{",".join(shown)}],{compact_json(others)[1:]}'
    return HttpResponse(text.encode(), content_type="application/json")


def compact_json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


@method(
    "messagesHistory",
    "GET",
    arguments=(
        number("page", "the page, from 0", default=0),
        number("count", f"how many messages are on a page, at most {MAX_PAGE_SIZE}", default=PAGE_SIZE),
        chat_filter("chatId", "only messages of this chat"),
    ),
)
def messages_history(instance: Instance, *, page: int, count: int, chat_id: str | None) -> HttpResponse:
    """Returns a page of messages, newest first. Page 0 has the newest.

    Pages of a chat are counted from its newest message, pages of the instance by message number: numbers have no gaps,
    so the last page of a million messages costs the same as the first. Messages cleared by clearChat are left out
    (*ours*); if any chat was cleared, the instance's pages are counted from the newest message too.
    """
    size = min(count, MAX_PAGE_SIZE) or PAGE_SIZE
    conditions: list[Condition] = [
        (OF_INSTANCE, [instance.pk]),
        ("message.number > chat.cleared_number", []),
    ]
    first = min(page * size, MAX_MESSAGE_NUMBER)
    if chat_id is not None:
        conditions.append((IN_CHAT, [instance.pk, chat_id]))
    elif not Chat.objects.filter(instance=instance, cleared_number__gt=0).exists():
        conditions.append(("message.number <= %s", [instance.last_message_number - first]))
        first = 0
    rows = fetch(conditions, size, newest=True, skip=first, max_text=MAX_HISTORY_TEXT)
    return response(rows, page=page)
