"""Records a contact's message with its number, its chat and its hook in one statement, in the usual case.

The usual case: a direct chat that exists, has the name that the message brings and is not archived, and an instance
with one endpoint without filters. messages.record() handles all others, with seven statements, two of which load the
instance.

Besides the CPU of the statements, it saves time: the instance's row is locked from the statement's begin to its commit,
and no other event of the instance can be recorded meanwhile. With several statements, the lock is also held while this
thread waits for its turn in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.utils import timezone

from chatapi.database import prepared
from hooks import outbox
from hooks.models import Kind
from hooks.sql import bulk_insert
from instances import chat_ids, payloads
from instances.actions import events
from instances.models import Chat, Instance, Message
from instances.models.instances import CONNECTED_SQL

# What events.skip_of_message() reads. It is called before the row is locked, so the statement compares these columns.
SKIP_COLUMNS = ("paid_until", "stopped_at", "stop_reason", "ignore_old_messages", "old_messages_period")


class Condition(NamedTuple):
    """What else must hold for a message to be recorded. The caller has checked it with an instance it has loaded.

    columns       of the instance `i`: unchanged since
    sql           on the row `i` and these parameters, whose names are not those of the statement
    """

    columns: tuple[str, ...] = ()
    sql: str = "true"
    parameters: Mapping[str, Any] = {}


NO_CONDITION = Condition()
# The parameters that are constants for a text, or equal to another one: each takes time in psycopg and in PostgreSQL.
CONSTANTS_OF_TEXT = {"skip": "''", "kind": f"'{Kind.MESSAGE}'", "time": "%(at)s"}
# Given by the statement, not by the message.
GIVEN = {
    "number": "numbered.number",
    "chat_id": "numbered.chat_key",
    "chat_last_time": "numbered.last_time",
    "chat_unread": "numbered.unread",
}

# Nothing is written unless the instance and its chat are as the message expects them. All who change a chat lock its
# instance first, and so does this. The function reads the chat and the numbers as they are once the lock is held: the
# statement itself sees what was committed before it waited for the lock. So it cannot change a chat that was created
# meanwhile, and records nothing if it would have to.
RECORD = """
    WITH locked AS MATERIALIZED (
        SELECT i.id, i.last_message_number AS stored, {endpoint}
        FROM instances_instance i JOIN hooks_endpoint e ON e.id = i.id {tally}
        WHERE {condition} AND {is_simple}
        FOR NO KEY UPDATE OF i, t
    ), numbered AS MATERIALIZED (
        SELECT e.*, c.*, convert_to(%(before)s::text || c.number || %(after)s::text, 'UTF8') AS body
        FROM locked e, instances_next_message(e.id, e.stored, %(chat)s, %(time)s::timestamptz) c
        WHERE c.chat_name = %(chat_name)s AND c.is_usual
            AND (NOT c.is_outdated OR EXISTS (SELECT FROM instances_chat WHERE id = c.chat_key))
    ), chat AS (
        UPDATE instances_chat c SET last_time = e.last_time, removed_at = NULL
        FROM numbered e WHERE e.is_outdated AND c.id = e.chat_key
    ), message AS (
        INSERT INTO instances_message ({columns}) SELECT {values} FROM numbered RETURNING id
    ), {hook}
    SELECT {result} FROM {source}
"""
# What a message of a contact does not have, left to the columns' own default or NULL.
OMITTED = (
    "ack",
    "queue_number",
    "queued_at",
    "deleted_at",
    "metadata",
    "failure",
    "failed_at",
    "maybe_twice",
    "messenger_id",
)


@cache
def given_columns() -> list[bulk_insert.Column]:
    return [column for column in bulk_insert.columns(Message) if column.attribute not in OMITTED]


def statement(condition: str, values: Mapping[str, str], result: str, source: str) -> str:
    """Returns RECORD for the instance `i` that meets the condition; `values` has the SQL of columns of the message.

    `result` are columns of `source`, which are CTEs of RECORD; numbered is `e` there. It is cheaper without `message`.

    With over 4096 characters or 50 parameters, psycopg would parse its text at each call.
    """
    known = {**GIVEN, **values}
    whole = RECORD.format(
        condition=condition,
        endpoint=outbox.ONE_EVENT_COLUMNS,
        tally=outbox.JOIN_TALLY,
        is_simple=f"({outbox.IS_SIMPLE})",
        columns=", ".join(column.quoted for column in given_columns()),
        values=", ".join(
            known.get(column.attribute) or bulk_insert.default_sql(column) for column in given_columns()
        ),
        hook=outbox.emit_one_sql("numbered"),
        result=result,
        source=source,
    )
    return " ".join(whole.split())


@cache
def record_sql(columns: tuple[str, ...] = (), condition: str = "true") -> str:
    """Returns the statement for a message of any content."""
    fields = {field.attname: field for field in Instance._meta.concrete_fields}
    compared = (*SKIP_COLUMNS, *columns)
    types = [str(fields[name].db_type(connection)).partition("(")[0] for name in compared]
    is_unchanged = "({}) IS NOT DISTINCT FROM ({})".format(
        ", ".join(f"i.{name}" for name in compared),
        ", ".join(f"%(of_{name})s::{type}" for name, type in zip(compared, types, strict=True)),
    )
    return statement(
        f"i.id = %(instance)s::bigint AND {is_unchanged} AND {condition}",
        {
            column.attribute: column.constant.replace("%s", f"%(new_{column.attribute})s")
            for column in given_columns()
            if column.attribute not in GIVEN
        },
        f"message.id, e.number, e.id, {outbox.ONE_IS_QUEUED}, e.chat_key",
        "numbered e, message",
    )


class Written(NamedTuple):
    """A text that was recorded: its number, and the JSON of M (contract.md, section 3)."""

    number: int
    json: str


@cache
def record_text_sql(condition: str) -> str:
    """Returns the statement for a text of a contact that has the instance's number, whose hook is not skipped.

    Its parameters are those of record_text() and of the condition on the instance `i`.
    """
    connected = CONNECTED_SQL.replace("%s", "%(at)s")
    found = statement(
        f"i.number = %(number)s::bigint AND {connected} AND i.ban_phone_mask = ''"
        f" AND (NOT i.ignore_old_messages OR i.old_messages_period > 0) AND {condition}",
        {
            "instance_id": "numbered.id",
            "message_id": "%(message)s::character varying",
            "author": "%(chat)s::character varying",
            "sender_name": "%(chat_name)s::character varying",
            "body": "%(new_body)s::text",
            "time": "%(time)s::timestamptz",
        },
        f"e.number, e.id, {outbox.ONE_IS_QUEUED}",
        "numbered e",
    )
    for name, value in CONSTANTS_OF_TEXT.items():
        found = found.replace(f"%({name})s", value)
    return found


def record_text(
    *,
    number: int,
    chat_id: str,
    sender_name: str,
    body: str,
    now: datetime,
    condition: str,
    parameters: Mapping[str, Any],
) -> Written | None:
    """Write a text that a contact has just written to the instance with this number, if the condition holds.

    Returns None, and writes nothing, if this is not the usual case: it also needs an instance that is connected, paid
    and bans no contact. One statement, without loading the instance.
    """
    message_id = chat_ids.message_id(chat_id, author=chat_id, from_me=False)
    text = payloads.ReceivedText(message_id, chat_id, sender_name, body, now)
    shown = payloads.message_around_number(text, chat_id=chat_id, chat_name=sender_name)
    before, after = payloads.body_around_number(*shown, instance_number=number)
    row = prepared.fetch_one(
        record_text_sql(condition),
        {
            **parameters,
            **outbox.one_event_parameters(
                kind=Kind.MESSAGE, message=message_id, chat=chat_id, skip=None, now=now
            ),
            "number": number,
            "chat_name": sender_name,
            "new_body": body,
            "before": before,
            "after": after,
        },
    )
    if row is None:
        return None
    given, endpoint, is_queued = row
    if is_queued:
        outbox.wake(endpoint)
    return Written(given, f"{shown[0]}{given}{shown[1]}")


@cache
def unknown_fields() -> list[str]:
    """Returns the fields of a chat that the statement does not know."""
    known = ("id", "instance_id", "chat_id", "name", "is_group", "archived", "removed_at")
    return [field.attname for field in Chat._meta.concrete_fields if field.attname not in known]


def set_as_loaded(chat: Chat, key: int) -> None:
    """Make the chat that a message brings the one that the statement has found. Django loads the other fields."""
    chat.pk, chat._state.adding, chat._state.db = key, False, DEFAULT_DB_ALIAS
    for name in unknown_fields():
        chat.__dict__.pop(name, None)
    chat.forget_exact()


def record_at_once(message: Message, condition: Condition = NO_CONDITION) -> bool:
    """Write a message that a contact has written, with its number, chat and hook; sets its number and chat.

    Its chat need not be loaded: its id and the name that the message brings are enough. Returns False, and writes
    nothing, if this is not the usual case. One statement, in the caller's transaction or in its own.
    """
    instance, now, here = message.instance, timezone.now(), connections[DEFAULT_DB_ALIAS]
    if chat_ids.is_group(message.chat.chat_id):
        return False
    before, after = payloads.body_around_number(
        *payloads.message_around_number(message, chat_id=message.chat.chat_id, chat_name=message.chat.name),
        instance_number=instance.number,
    )
    parameters: dict[str, Any] = {
        "instance": instance.pk,
        "time": message.time,
        "chat_name": message.chat.name,
        "before": before,
        "after": after,
    }
    parameters |= {f"of_{name}": getattr(instance, name) for name in (*SKIP_COLUMNS, *condition.columns)}
    parameters |= condition.parameters
    parameters |= {
        f"new_{column.attribute}": column.field.get_db_prep_save(getattr(message, column.attribute), here)
        for column in given_columns()
        if column.attribute not in GIVEN
    }
    parameters |= outbox.one_event_parameters(
        kind=Kind.MESSAGE,
        message=message.message_id,
        chat=message.chat.chat_id,
        skip=events.skip_of_message(instance, message),
        now=now,
    )
    row = prepared.fetch_one(record_sql(condition.columns, condition.sql), parameters)
    if row is None:
        return False
    message.pk, message.number, endpoint, is_queued, chat_key = row
    chat = message.chat
    set_as_loaded(chat, chat_key)
    message.chat = chat  # also sets chat_id
    message._state.adding, message._state.db = False, DEFAULT_DB_ALIAS
    message.chat.instance = instance
    if is_queued:
        outbox.wake(endpoint)
    return True
