"""Deletes the data of an instance, which itself stays, in small transactions.

A million messages take minutes, too long for a request and for the lock on the instance. The request deletes what
waits to be sent, and up to BATCH other rows; if there are more, it records up to which row of each table they are to be
deleted (Instance.cleaning), and a task deletes them. Rows written since then are kept. Until it is done, the pages show
what is left, and say that it is being deleted. After a kill, the next run continues: a schedule runs it each minute.

deleted_data.py does the same for deleted instances.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any

from django.db import connection, models, transaction
from django_q.tasks import async_task

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from instances.actions import events
from instances.actions.deleted_data import OF_CHATS
from instances.actions.session import log_out
from instances.models import (
    WAITING_SQL,
    BannedContact,
    Chat,
    Instance,
    Label,
    Message,
    OutgoingMessage,
    OutgoingQueue,
    QueuedAction,
    SandboxContact,
    SandboxReceipt,
    SendingTry,
    StatusChange,
)
from instances.models.last_messages import NEWEST, UNREAD

BATCH = 2_000  # rows deleted by one transaction
RUN_SECONDS = 600.0  # a run ends after this, and queues the next one
# In this order: a message refers to its chat. Files are deleted when they expire (media.drop_old). The order is stored
# in Instance.cleaning: add new ones at the end.
TABLES: tuple[type[models.Model], ...] = (
    QueuedAction, SandboxReceipt, SandboxContact, BannedContact, StatusChange, OutgoingMessage, Message, SendingTry,
    Chat, Label,
)  # fmt: skip
LAST_KEYS = "SELECT " + ", ".join(
    f"coalesce(pg_sequence_last_value(pg_get_serial_sequence('{model._meta.db_table}', 'id')), 0)"
    for model in TABLES
)
# Of a chat that stays, for the messages that were deleted. It cannot have more unread ones than it has received since.
UNREAD_NOW = UNREAD.format(chat="chat")
CORRECT_UNREAD = f"""
WITH corrected AS (
    UPDATE {Chat._meta.db_table} chat SET unread = least({UNREAD_NOW}, (
        SELECT count(*) FROM {Message._meta.db_table} m WHERE m.chat_id = chat.id AND NOT m.from_me
    ))
    WHERE instance_id = %s AND id + 0 <= %s AND {UNREAD_NOW} > 0
    RETURNING (SELECT m.id {NEWEST.format(chat="chat", condition="")}) AS newest
)
UPDATE {Message._meta.db_table} m SET chat_unread = NULL FROM corrected WHERE m.id = corrected.newest
"""
HAS_NO_MESSAGE = f"NOT EXISTS (SELECT FROM {Message._meta.db_table} m WHERE m.chat_id = found.id)"


@transaction.atomic
def clean_instance(instance: Instance, *, acting_user: User | None) -> Instance:
    """Log out; delete chats, messages, queues, labels, bans, the status history and sandbox contacts.

    The instance keeps its number, token, settings, payments and hooks. Message numbers continue, because a client that
    reads from the last number it knows must not miss the next message.
    """
    events.lock(instance)
    log_out(instance, acting_user=acting_user)
    delete_data(instance, TABLES)
    audit.record(instance, AuditAction.INSTANCE_CLEANED, acting_user=acting_user)
    return instance


def delete_data(instance: Instance, tables: Collection[type[models.Model]]) -> None:
    """Delete the rows of an instance, which the caller has locked: waiting messages at once, others by a task.

    Also deletes the messages in delivery.
    """
    delete_outgoing(instance.pk, f"instance_id = %s AND {WAITING_SQL}", [instance.pk])
    with connection.cursor() as cursor:
        cursor.execute(LAST_KEYS)
        last_keys = cursor.fetchone()
    recorded = recorded_keys(instance.cleaning or [])
    wanted = [
        last if model in tables else recorded.get(model, 0)
        for model, last in zip(TABLES, last_keys, strict=True)
    ]
    instance.stored_message_number = instance.last_message_number  # whose message is deleted
    is_done = delete_batch(instance, wanted) < BATCH
    instance.cleaning = None if is_done else wanted
    instance.save(update_fields=["cleaning", "stored_message_number"])
    if not is_done:
        schedule_cleaning()


def recorded_keys(cleaning: Sequence[int]) -> dict[type[models.Model], int]:
    """Returns Instance.cleaning by table. It was recorded without tables that an upgrade has added since."""
    return dict(zip(TABLES, cleaning, strict=False))


def schedule_cleaning() -> None:
    """Queue the task in the transaction that records what it has to do."""
    async_task("instances.actions.cleaning.clean")


def clean(seconds: float = RUN_SECONDS) -> str:
    """Delete what is recorded, for at most `seconds`; returns a summary for the task's result.

    Instances take turns: one with few rows does not wait for one with millions.
    """
    ends = time.monotonic() + seconds
    rows = 0
    recorded = Instance.objects.filter(cleaning__isnull=False).order_by("pk")
    turns = deque(recorded.values_list("pk", flat=True))
    while turns:
        deleted = clean_batch(turns[0])
        if not deleted:
            turns.popleft()
            continue
        turns.rotate(-1)
        rows += deleted
        if time.monotonic() > ends:
            schedule_cleaning()
            return f"{rows} rows of cleaned instances deleted, more are left"
    return f"{rows} rows of cleaned instances deleted"


def clean_batch(key: int) -> int:
    """Delete up to BATCH rows that are recorded for an instance; returns how many, 0 after the last ones.

    Then it sleeps as long as it worked, which leaves half of the time to the events of the instance.
    """
    began = time.monotonic()
    with transaction.atomic():
        instance = Instance.objects.select_for_update(no_key=True).filter(pk=key).first()
        if instance is None or instance.cleaning is None:
            return 0
        deleted = delete_batch(instance, instance.cleaning)
        if not deleted:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off")
                cursor.execute(CORRECT_UNREAD, [key, recorded_keys(instance.cleaning).get(Chat, 0)])
            instance.cleaning = None
            instance.save(update_fields=["cleaning"])
    time.sleep(min(time.monotonic() - began, 1.0))
    return deleted


def delete_batch(instance: Instance, last_keys: Sequence[int]) -> int:
    """Delete up to BATCH rows of the locked instance with keys up to these; returns how many.

    A chat with newer messages stays.
    """
    left = BATCH
    with connection.cursor() as cursor:
        # To the planner half of a table may belong to one instance; with its last rows gone, it would read all others:
        # hence no sequential scan, and by "+ 0" none of the primary key.
        cursor.execute("SET LOCAL enable_seqscan = off")
        for model, last in recorded_keys(last_keys).items():
            condition = HAS_NO_MESSAGE if model is Chat else "true"
            cursor.execute(
                f"SELECT id FROM {model._meta.db_table} found"
                f" WHERE instance_id = %s AND id + 0 <= %s AND {condition} LIMIT %s",
                [instance.pk, last, left],
            )
            if keys := [row[0] for row in cursor.fetchall()]:
                delete_rows(instance.pk, model, keys)
                left -= len(keys)
            if not left:
                break
        cursor.execute("SET LOCAL enable_seqscan = on")
    return BATCH - left


def delete_rows(instance_key: int, model: type[models.Model], keys: list[int]) -> None:
    table = model._meta.db_table
    if model is OutgoingMessage:
        return delete_outgoing(instance_key, "id = ANY(%s)", [keys])
    with connection.cursor() as cursor:
        if model is Chat:
            for child in OF_CHATS:
                cursor.execute(f"DELETE FROM {child._meta.db_table} WHERE chat_id = ANY(%s)", [keys])
        if model is Label:
            cursor.execute(
                f"DELETE FROM {Chat.labels.through._meta.db_table} WHERE label_id = ANY(%s)", [keys]
            )
        if model is not Message:
            cursor.execute(f"DELETE FROM {table} WHERE id = ANY(%s)", [keys])
            return None
        cursor.execute(f"DELETE FROM {table} WHERE id = ANY(%s) RETURNING queue_number", [keys])
        sent = sum(number is not None for (number,) in cursor.fetchall())
    if sent:
        OutgoingQueue.objects.filter(pk=instance_key).shorten(0, removed=sent)
    return None


def delete_outgoing(instance_key: int, condition: str, parameters: list[Any]) -> None:
    """Delete messages that wait or have failed, and count them as removed."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {OutgoingMessage._meta.db_table} WHERE {condition} RETURNING {WAITING_SQL}",
            parameters,
        )
        were_waiting = [row[0] for row in cursor.fetchall()]
    if were_waiting:
        OutgoingQueue.objects.filter(pk=instance_key).shorten(sum(were_waiting), removed=len(were_waiting))
